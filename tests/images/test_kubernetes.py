"""The manifests of `pack generate-k8s`: held against the schemas of the API, and against the server that they run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import pack
from pack import yamls
from pack.errors import InvalidValue
from pack.images import naming
from pack.images.sizing import MIB, needs_of
from tests import models
from tests.images.manifests import RELEASES, faults, generate, objects, server_of, variables_of

pytestmark = pytest.mark.sklearn
AT_A_SERVER = ("--env", "PACK_TRACKING_URI=https://registry.example.com")
VARIANTS: dict[str, tuple[str, ...]] = {
    "plain": (),
    "fixed": ("--replicas", "1", "--namespace", "ml", "--image", "registry.example.com:5000/ml/churn:3"),
    "fetched": ("--fetch", *AT_A_SERVER, "--secret-env", "PACK_TRACKING_TOKEN=registry:token"),
    "followed": ("--fetch", "--follow", *AT_A_SERVER, "--auth-secret", "keys"),
    "sized": ("--gpu", "2", "--cpu", "1.5", "--memory", "4Gi", "--port", "9000", "--env", "A=1e3"),
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_object_is_what_kubernetes_takes(churn: str, variant: str) -> None:
    found = objects(*VARIANTS[variant])
    assert {"Deployment", "Service", "PodDisruptionBudget"} <= found.keys()
    for release in RELEASES:
        assert [fault for each in found.values() for fault in faults(each, release)] == []


def test_a_misspelled_field_would_be_found(churn: str) -> None:
    deployment = objects()["Deployment"]
    server_of(deployment)["livenessprobe"] = {}
    assert "livenessprobe" in faults(deployment)[0]


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_refers_to_something_refers_to_what_is_there(churn: str, variant: str) -> None:
    found = objects(*VARIANTS[variant])
    deployment, service = found["Deployment"], found["Service"]
    template = deployment["spec"]["template"]
    chosen = deployment["spec"]["selector"]["matchLabels"]
    assert chosen.items() <= template["metadata"]["labels"].items()
    assert service["spec"]["selector"] == chosen == found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]
    volumes = {each["name"] for each in template["spec"]["volumes"]}
    containers = [*template["spec"].get("initContainers", []), *template["spec"]["containers"]]
    assert {mount["name"] for each in containers for mount in each["volumeMounts"]} == volumes
    for each in containers:
        names = [variable["name"] for variable in each["env"]]
        assert len(names) == len(set(names))
    server = server_of(deployment)
    port = server["ports"][0]
    assert service["spec"]["ports"][0]["targetPort"] == port["name"] == server["readinessProbe"]["httpGet"]["port"]
    assert variables_of(server)["PACK_PORT"] == str(port["containerPort"])


def test_every_container_is_locked_down(churn: str) -> None:
    spec = objects(*VARIANTS["fetched"])["Deployment"]["spec"]["template"]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    for each in [*spec["initContainers"], *spec["containers"]]:
        rights = each["securityContext"]
        assert rights["runAsNonRoot"]
        assert rights["readOnlyRootFilesystem"]
        assert not rights["allowPrivilegeEscalation"]
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert rights["seccompProfile"] == {"type": "RuntimeDefault"}
        assert rights["runAsUser"] == 10001


def test_the_grace_of_a_pod_is_longer_than_what_its_server_takes_to_stop(churn: str) -> None:
    spec = objects()["Deployment"]["spec"]["template"]["spec"]
    words = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    waited = int(re.findall(r"sleep\((\d+)\)", words[-1])[0])
    assert spec["terminationGracePeriodSeconds"] >= waited + 10


def test_an_autoscaler_says_how_many_pods_there_are_unless_a_person_does(churn: str) -> None:
    scaled = objects("--min-replicas", "3", "--max-replicas", "5")
    assert "replicas" not in scaled["Deployment"]["spec"]
    autoscaler = scaled["HorizontalPodAutoscaler"]["spec"]
    assert (autoscaler["minReplicas"], autoscaler["maxReplicas"]) == (3, 5)
    assert autoscaler["scaleTargetRef"]["name"] == scaled["Deployment"]["metadata"]["name"]
    assert "cpu" in server_of(scaled["Deployment"])["resources"]["requests"]
    fixed = objects("--replicas", "1")
    assert fixed["Deployment"]["spec"]["replicas"] == 1
    assert "HorizontalPodAutoscaler" not in fixed
    assert "3 pods at least" in generate("--min-replicas", "3", "--max-replicas", "2", code=1).output


def test_one_pod_alone_does_not_hold_up_the_drain_of_its_node(churn: str) -> None:
    budget = objects("--replicas", "1")["PodDisruptionBudget"]["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget


def test_the_objects_say_what_is_served(churn: str) -> None:
    for each in objects().values():
        assert each["metadata"]["labels"]["app.kubernetes.io/version"] == "1"
        assert each["metadata"]["annotations"] == {
            "io.pack.model.uri": "models:/churn@champion",
            "io.pack.model.digest": f"sha256:{churn}",
        }


def test_no_path_of_this_machine_stands_in_a_manifest(churn: str, tmp_path: Path) -> None:
    pack.sklearn.save_model(models.classifier(), tmp_path / "here")
    text = generate("--name", "churn", uri=str(tmp_path / "here")).stdout
    assert str(tmp_path) not in text
    assert "--name" in generate(uri=str(tmp_path / "here"), code=1).output


def test_the_same_model_gives_the_same_bytes(churn: str, tmp_path: Path) -> None:
    assert generate().stdout == generate().stdout
    for folder in ("a", "b"):
        generate("-d", str(tmp_path / folder))
    names = sorted(path.name for path in (tmp_path / "a").iterdir())
    assert all((tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes() for name in names)
    written = yamls.load((tmp_path / "a" / "kustomization.yaml").read_bytes(), "it")["resources"]
    assert sorted([*written, "kustomization.yaml"]) == names


def test_yaml_and_json_say_the_same(churn: str) -> None:
    texts = generate(*VARIANTS["sized"]).stdout.split("---\n")
    items = json.loads(generate(*VARIANTS["sized"], "--json").stdout)["items"]
    assert [yamls.load(text, "it") for text in texts] == items
    assert "&id" not in "".join(texts)


@pytest.mark.parametrize("value", ["1e3", "y", "0o7", "1_000", "null", "12345e678901", ".5", "+1", "0x1F", "on", "~"])
def test_a_text_that_go_would_read_as_a_number_is_quoted(churn: str, value: str) -> None:
    assert f"value: '{value}'" in generate("--env", f"A={value}").stdout


@pytest.mark.parametrize("value", ["$(HOME)", "$HOME $$(HOME)", "a\nb: c", "'\"\\", "# no comment", "{{.Name}}", "é\t"])
def test_a_value_reaches_the_server_as_it_was_given(churn: str, value: str) -> None:
    text = generate("--env", f"A={value}").stdout.split("---\n")[0]
    found = variables_of(server_of(yamls.load(text, "it")))["A"]
    assert expanded(found, {"HOME": "/evil"}) == value


def expanded(text: str, known: dict[str, str]) -> str:
    """What Kubernetes makes of the value of a variable (k8s.io/kubernetes third_party/forked/golang/expansion)."""
    return re.sub(
        r"\$(\$|\(([^)]*)\))",
        lambda match: "$" if match[1] == "$" else known.get(match[2], match[0]),
        text,
    )


HOSTILE = [
    "a\nb",
    "a'b",
    'a"b',
    "$(id)",
    "a b",
    "../x",
    "A",
    "-rf",
    "a" * 64,
    "",
    "a_b",
    "é",
    "a\0b",
    "a;b",
    "1a",
    "a-",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_that_is_none_is_refused(churn: str, name: str) -> None:
    done = generate("--name", name, code=1)
    assert "cannot be the name of a Kubernetes object" in done.output
    assert "a-z" in done.output
    assert done.stdout == ""


@pytest.mark.parametrize(
    "words",
    [
        ("--namespace", "a\nb"),
        ("--image", "churn:3\nevil"),
        ("--image", "churn; id"),
        ("--image", "Churn"),
        ("--image", "--privileged"),
        ("--env", "A B=1"),
        ("--env", "A\n=1"),
        ("--env", "A=\0"),
        ("--env", "A=\x1b[0m"),
        ("--secret-env", "A=b"),
        ("--secret-env", "A=b\n:c"),
        ("--secret-env", "A=b:c/d"),
        ("--auth-secret", "a b"),
        ("--allowed-host", "*.example.com"),
        ("--allowed-host", "$(POD_NAMESPACE)"),
        ("--cpu", "many"),
        ("--cpu", "0"),
        ("--memory", "1 Gi"),
        ("--memory", "1Mi"),
        ("--env", "A=1", "--env", "A=2"),
        ("--env", "A=1", "--secret-env", "A=b:c"),
        ("--digest", "0" * 64),
        ("--digest", "no"),
        ("--fetch",),
        ("--fetch", "--env", "PACK_TRACKING_URI=https://x", "--name", "B"),
    ],
)
def test_a_value_that_kubernetes_does_not_take_is_refused(churn: str, words: tuple[str, ...]) -> None:
    done = generate(*words, code=1)
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) >= 2  # what is wrong, and what to do


def test_the_name_of_a_registered_model_becomes_that_of_the_objects_where_it_can() -> None:
    assert naming.name_from("Churn of_2026.v2") == "churn-of-2026-v2"
    with pytest.raises(InvalidValue, match="--name"):
        naming.name_from("Ünder")


def test_what_a_pod_asks_for_grows_with_the_model() -> None:
    small, large = needs_of(0, ["sklearn"]), needs_of(3 * 1024 * MIB, ["pytorch"])
    assert (small.cpu, small.memory, small.most_memory) == ("500m", "256Mi", "768Mi")
    assert (large.cpu, large.memory, large.most_memory) == ("1", "6656Mi", "7168Mi")
    assert small.start_seconds < large.start_seconds
    assert small.largest_body <= small.waiting_bytes
    tight = needs_of(0, [], memory="128Mi")
    assert (tight.memory, tight.most_memory, tight.largest_body) == ("128Mi", "128Mi", 32 * MIB)


def test_what_a_person_says_of_resources_holds(churn: str) -> None:
    server = server_of(objects(*VARIANTS["sized"])["Deployment"])
    assert server["resources"] == {
        "requests": {"cpu": "1.5", "memory": "4Gi", "nvidia.com/gpu": "2"},
        "limits": {"memory": "4Gi", "nvidia.com/gpu": "2"},
    }
    assert variables_of(server)["OMP_NUM_THREADS"] == "2"
    assert variables_of(server)["A"] == "1e3"


def test_keys_of_callers_come_from_a_secret_and_metrics_are_not_promised_without_one(churn: str) -> None:
    template = objects("--auth-secret", "keys:now")["Deployment"]["spec"]["template"]
    found = variables_of(template["spec"]["containers"][0])
    assert found["PACK_SERVE_KEYS"] == {"secretKeyRef": {"name": "keys", "key": "now"}}
    assert "prometheus.io/scrape" not in template["metadata"]["annotations"]
    assert "prometheus.io/scrape" in objects()["Deployment"]["spec"]["template"]["metadata"]["annotations"]


def test_only_what_fetches_the_model_is_told_of_the_registry(churn: str) -> None:
    spec = objects(*VARIANTS["fetched"], "--env", "A=1")["Deployment"]["spec"]["template"]["spec"]
    fetcher, server = map(variables_of, (spec["initContainers"][0], spec["containers"][0]))
    assert fetcher.keys() >= {"PACK_TRACKING_URI", "PACK_TRACKING_TOKEN", "A"}
    assert not [name for name in server if name.startswith("PACK_TRACKING")]
    assert server["A"] == "1"


def test_a_pod_fetches_this_version_by_its_digest_or_what_the_alias_points_at(churn: str) -> None:
    def command(*words: str) -> Any:
        return objects(*words)["Deployment"]["spec"]["template"]["spec"]["initContainers"][0]["command"]

    assert command(*VARIANTS["fetched"])[3:] == [
        "fetch", "-m", "models:/churn/1", "-o", "/opt/ml/model", "--replace", "--digest", churn,
    ]  # fmt: skip
    assert command(*VARIANTS["followed"])[3:] == [
        "fetch", "-m", "models:/churn@champion", "-o", "/opt/ml/model", "--replace",
    ]  # fmt: skip


def test_a_model_that_runs_code_is_pinned_or_trusted_aloud() -> None:
    with pack.start_run():
        pack.pyfunc.log_model(name="m", python_model=lambda model_input: model_input, registered_model_name="code")
    pack.set_alias("code", "champion", 1)
    pinned = objects("--fetch", *AT_A_SERVER, uri="models:/code@champion")["Deployment"]
    digest = pinned["metadata"]["annotations"]["io.pack.model.digest"].removeprefix("sha256:")
    assert variables_of(server_of(pinned))["PACK_TRUST_DIGESTS"] == digest
    follow = ("--fetch", "--follow", *AT_A_SERVER)
    assert "--trust" in generate(*follow, uri="models:/code@champion", code=1).output
    trusted = objects(*follow, "--trust", uri="models:/code@champion")["Deployment"]
    assert variables_of(server_of(trusted))["PACK_TRUST"] == "all"


def test_a_strangers_model_that_runs_code_is_not_let_run_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pack.start_run():
        pack.pyfunc.log_model(name="m", python_model=lambda model_input: model_input, registered_model_name="code")
    monkeypatch.setenv("PACK_STATE_DIR", str(tmp_path / "another user"))
    done = generate("--fetch", *AT_A_SERVER, uri="models:/code/1", code=1)
    assert "runs code" in done.output


@pytest.mark.parametrize(
    "words",
    [
        ("--follow",),
        ("--storage-uri", "s3://a/b"),
        ("--kserve", "--fetch"),
        ("--fetch", "--follow", "--digest", "0" * 64),
    ],
)
def test_options_that_do_not_go_together_are_refused(churn: str, words: tuple[str, ...]) -> None:
    assert generate(*words, code=2).stdout == ""


def test_a_version_that_was_changed_since_it_was_registered_is_refused(churn: str) -> None:
    home = pack.artifacts.local_path("models:/churn/1")
    (home / "requirements.txt").write_text("evil\n", encoding="utf-8")
    assert "requirements.txt" in generate(code=1).stderr
