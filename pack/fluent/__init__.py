"""The verbs people type: runs and what they record, models and their versions. `import pack` exports them."""
