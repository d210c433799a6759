"""`pack.types.llm`: what chat models are asked and answer, under the names that MLflow gives them."""

from __future__ import annotations

from pack.pyfunc.chat import ChatChoice as ChatChoice
from pack.pyfunc.chat import ChatChoiceDelta as ChatChoiceDelta
from pack.pyfunc.chat import ChatChoiceLogProbs as ChatChoiceLogProbs
from pack.pyfunc.chat import ChatChunkChoice as ChatChunkChoice
from pack.pyfunc.chat import ChatCompletionChunk as ChatCompletionChunk
from pack.pyfunc.chat import ChatCompletionRequest as ChatCompletionRequest
from pack.pyfunc.chat import ChatCompletionResponse as ChatCompletionResponse
from pack.pyfunc.chat import ChatMessage as ChatMessage
from pack.pyfunc.chat import ChatParams as ChatParams
from pack.pyfunc.chat import FunctionToolCallArguments as FunctionToolCallArguments
from pack.pyfunc.chat import FunctionToolDefinition as FunctionToolDefinition
from pack.pyfunc.chat import ParamProperty as ParamProperty
from pack.pyfunc.chat import ParamType as ParamType
from pack.pyfunc.chat import TokenLogProb as TokenLogProb
from pack.pyfunc.chat import TokenUsageStats as TokenUsageStats
from pack.pyfunc.chat import ToolCall as ToolCall
from pack.pyfunc.chat import ToolDefinition as ToolDefinition
from pack.pyfunc.chat import ToolParamsSchema as ToolParamsSchema
from pack.pyfunc.chat import TopTokenLogProb as TopTokenLogProb
