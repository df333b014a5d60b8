#!/usr/bin/env python3
"""Trains the quickstart's digit classifier and writes everything else in this folder.

Needs torch, scikit-learn, safetensors and, for the ONNX file, onnx and onnxscript. The quickstart itself needs none of
them: its files are here already. Deterministic on one machine; last bits may differ between versions of torch.
"""
import argparse
import pathlib

import numpy
import torch
from safetensors.numpy import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

SEED = 7
CALIBRATION = 100  # images, held out of training
TEST = 400         # images, seen by nothing but the evaluation


def unit(inputs, outputs, kernel, groups=1):
    """Convolution, batch normalization, ReLU6; "same" padding."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU6(),
    )


class Residual(nn.Module):
    """x + pointwise(depthwise(x))"""

    def __init__(self, channels):
        super().__init__()
        self.depthwise = unit(channels, channels, 3, groups=channels)
        self.pointwise = nn.Sequential(nn.Conv2d(channels, channels, 1, bias=False), nn.BatchNorm2d(channels))

    def forward(self, x):
        return x + self.pointwise(self.depthwise(x))


class Digits(nn.Module):
    """1 x 1 x 8 x 8 grey levels from 0 to 1 -> 10 logits."""

    def __init__(self):
        super().__init__()
        self.stem = unit(1, 32, 3)
        self.block = Residual(32)
        self.shrink = nn.MaxPool2d(2)
        self.head = unit(32, 64, 3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(64, 10)

    def forward(self, x):
        x = self.head(self.shrink(self.block(self.stem(x))))
        return self.classifier(self.pool(x).flatten(1))


def split():
    """(images, labels) for training, calibration and test; every digit has its share in each."""
    digits = load_digits()
    images = (digits.images / 16.0).astype(numpy.float32)[:, None]
    labels = digits.target.astype(numpy.int64)
    rest, test, rest_labels, test_labels = train_test_split(
        images, labels, test_size=TEST, stratify=labels, random_state=SEED)
    train, calibration, train_labels, calibration_labels = train_test_split(
        rest, rest_labels, test_size=CALIBRATION, stratify=rest_labels, random_state=SEED)
    return (train, train_labels), (calibration, calibration_labels), (test, test_labels)


def fit(model, images, labels, epochs):
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=1e-2)
    batch = 64
    steps = epochs * ((len(images) + batch - 1) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1e-2, total_steps=steps)
    generator = torch.Generator().manual_seed(SEED)
    model.train()
    for _ in range(epochs):
        for index in torch.randperm(len(images), generator=generator).split(batch):
            loss = nn.functional.cross_entropy(model(images[index]), labels[index], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def accuracy(model, images, labels):
    with torch.no_grad():
        return (model(torch.from_numpy(images)).argmax(1) == torch.from_numpy(labels)).float().mean().item()


def export(model, example, folder):
    """digits.pt2 and digits.onnx, without the source paths of this machine in their debugging records."""
    program = torch.export.export(model, (example,))
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)
    torch.export.save(program, folder / "digits.pt2")

    converted = torch.onnx.export(model, (example,), input_names=["input"], output_names=["logits"], opset_version=18,
                                  dynamo=True)
    for node in converted.model.graph:
        node.metadata_props.pop("pkg.torch.onnx.stack_trace", None)
    converted.save(folder / "digits.onnx", external_data=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path(__file__).parent, help="folder to write to")
    parser.add_argument("--epochs", type=int, default=40)
    options = parser.parse_args()

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    train, calibration, test = split()
    model = Digits()
    fit(model, torch.from_numpy(train[0]), torch.from_numpy(train[1]), options.epochs)
    print(f"accuracy: training {accuracy(model, *train):.4f}, test {accuracy(model, *test):.4f}")

    for name, (images, labels) in {"calibration": calibration, "test": test}.items():
        save_file({"input": images, "label": labels}, options.out / f"{name}.safetensors")
    export(model, torch.from_numpy(test[0][:1]), options.out)


if __name__ == "__main__":
    main()
