"""From a data frame to a served alias, on this machine, with nothing to set up.

Trains two models that tell wines apart, logs and registers both, points `@champion` at the better one, serves it, and
asks it about wines that it has not seen. Everything is recorded in `.pack/` in this folder.
"""

import json
import subprocess
import sys
import urllib.request

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import ConfusionMatrixDisplay, accuracy_score, log_loss
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import pack

NAME = "wine"
CLASSES = ["barolo", "grignolino", "barbera"]


def main() -> None:
    wine = load_wine(as_frame=True)
    train, test, train_class, test_class = train_test_split(wine.data, wine.target, test_size=0.3, random_state=7)
    pack.set_experiment("wine quickstart")

    linear = log_linear(train, train_class, test, test_class)
    forest = log_forest(train, train_class, test, test_class)
    best = max((linear, forest), key=lambda info: pack.get_run(info.run_id).data.metrics["accuracy"])
    pack.set_alias(NAME, "champion", best.registered_model_version, reason="the better accuracy on held-out wines")

    rows = test.head(8)
    answers = ask_server(rows)
    print(f"\n{'wine':>5}  {'predicted':<11} {'truth':<11}")
    for number, answer, truth in zip(rows.index, answers, test_class.loc[rows.index], strict=True):
        mark = "" if answer == truth else "  <- wrong"
        print(f"{number:>5}  {CLASSES[answer]:<11} {CLASSES[truth]:<11}{mark}")

    print(f"\nruns and models are recorded in  {pack.get_tracking_uri()}")
    print(f"@champion is version {best.registered_model_version}, in   {best.artifact_path}")
    print("\ntry next:")
    for command in ("models show wine", "runs list", "serve -m models:/wine@champion"):
        print(f"  {sys.executable} -m pack {command}")


def log_linear(train, train_class, test, test_class):
    """A linear model, trained epoch by epoch, so that there is a curve to look at."""
    with pack.start_run(run_name="linear"):
        pack.log_params({"model": "sgd", "alpha": 0.001, "epochs": 20})
        scaler = StandardScaler().fit(train)
        linear = SGDClassifier(loss="log_loss", alpha=0.001, random_state=7)
        for epoch in range(20):
            linear.partial_fit(scaler.transform(train), train_class, classes=[0, 1, 2])
            loss = log_loss(test_class, linear.predict_proba(scaler.transform(test)))
            pack.log_metric("loss", loss, step=epoch)
        return log(make_pipeline(scaler, linear), test, test_class)


def log_forest(train, train_class, test, test_class):
    """A forest."""
    with pack.start_run(run_name="forest"):
        pack.log_params({"model": "forest", "trees": 50})
        forest = make_pipeline(StandardScaler(), RandomForestClassifier(n_estimators=50, random_state=7))
        forest.fit(train, train_class)
        pack.log_metric("loss", log_loss(test_class, forest.predict_proba(test)))
        return log(forest, test, test_class)


def log(model, test, test_class):
    """Record how good a model is, a picture of its mistakes, and the model itself as a new version."""
    predicted = model.predict(test)
    pack.log_metric("accuracy", accuracy_score(test_class, predicted))
    picture = ConfusionMatrixDisplay.from_predictions(test_class, predicted, display_labels=CLASSES)
    pack.log_figure(picture.figure_, "plots/confusion.png")
    plt.close(picture.figure_)
    signature = pack.infer_signature(test, predicted)
    info = pack.log_model(model, NAME, signature=signature, input_example=test.head(3), registered_model_name=NAME)
    version, accuracy = info.registered_model_version, accuracy_score(test_class, predicted)
    print(f"logged {type(model[-1]).__name__:<24} accuracy {accuracy:.3f}   {NAME} version {version}")
    return info


def ask_server(rows):
    """Serve the champion on a free port, post the rows as JSON, and stop the server again."""
    command = [sys.executable, "-m", "pack", "serve", "-m", f"models:/{NAME}@champion", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = server.stdout.readline().strip()
        if not line:
            raise SystemExit("the server did not start; its own message stands above")
        print(line)
        body = json.dumps({"dataframe_split": rows.to_dict(orient="split", index=False)}).encode()
        url = line.rpartition(" ")[2] + "/invocations"
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)["predictions"]
    finally:
        server.terminate()
        server.wait(timeout=30)


if __name__ == "__main__":
    main()
