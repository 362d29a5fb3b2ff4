"""Do synthetic images help a classifier that has few real ones?

A small convolutional network learns from a part of the real training images, with and without a labelled synthetic
data set, in the same number of steps, with several seeds; its accuracy on the real test images is what counts. Half of
a mixed batch is synthetic.

    hubgan synthesize model_cards/cifar-r3gan -n 10000 -o fakes
    python -m benchmarks.augmentation --dataset uoft-cs/cifar10 --synthetic fakes
"""

import argparse
from typing import Any

import torch

from benchmarks.classifier import BATCH, accuracy, images_of, trained
from benchmarks.common import called, markdown, write
from hubgan.runtime.seeding import permutation


def main() -> None:
    """Train, write results/augmentation.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--dataset-name", help="what the results call it")
    parser.add_argument("--synthetic", required=True, help="the folder that `hubgan synthesize` wrote")
    parser.add_argument("--share", type=float, default=0.1, help="of the real training images")
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()
    train, test, fakes = (
        images_of(*place) for place in ((args.dataset, "train"), (args.dataset, "test"), (args.synthetic, "train"))
    )
    table: list[dict[str, Any]] = []
    for seed in args.seeds:
        order = permutation(len(train[0]), seed)
        few = order[: round(args.share * len(order))]
        real = train[0][few], train[1][few]
        for name, sets in (("real", [real]), ("real and synthetic", [real, fakes]), ("synthetic", [fakes])):
            found = accuracy(trained(sets, args.steps, seed), *test)
            table.append({"trained on": name, "seed": seed, "accuracy": found})
            print(table[-1], flush=True)
    means = []
    for name in dict.fromkeys(row["trained on"] for row in table):
        values = torch.tensor([row["accuracy"] for row in table if row["trained on"] == name]).double()
        means.append({"trained on": name, "accuracy": float(values.mean()), "deviation": float(values.std())})
    about = {"data": called(args.dataset, args.dataset_name), "real images": round(args.share * len(train[0]))}
    about |= {"synthetic images": len(fakes[0]), "steps": args.steps, "batch": BATCH}
    write("augmentation", table, **about, means=means)
    print(markdown(means))


if __name__ == "__main__":
    main()
