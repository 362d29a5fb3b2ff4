"""Train the classifier whose features make FD-C10, and write its weights in half precision.

python -m benchmarks.cifar10_classifier --dataset uoft-cs/cifar10 --output src/hubgan/metrics/cifar10.safetensors
"""

import argparse
from pathlib import Path

from safetensors.torch import save_file

from benchmarks.classifier import images_of
from benchmarks.common import called, markdown, write
from hubgan.metrics import Cifar10Classifier, train_classifier


def main() -> None:
    """Train, write the weights and results/cifar10_classifier.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--dataset-name", help="what the results call it")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    sets = {split: images_of(args.dataset, split) for split in ("train", "test")}
    classes = len(Cifar10Classifier.classes)
    network = train_classifier(*sets["train"], classes, epochs=args.epochs, seed=args.seed, progress="training")
    save_file({name: value.contiguous() for name, value in network.half().state_dict().items()}, args.output)
    network.float()  # what is measured is what was written
    table = [
        {"split": split, "images": len(images), "accuracy": network.accuracy(images, labels)}
        for split, (images, labels) in sets.items()
    ]
    about = {"data": called(args.dataset, args.dataset_name), "epochs": args.epochs, "seed": args.seed}
    write("cifar10_classifier", table, **about)
    print(markdown(table))


if __name__ == "__main__":
    main()
