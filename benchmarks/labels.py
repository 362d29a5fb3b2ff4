"""Are samples of the classes that they were asked for, as a classifier trained on real images alone sees it?

hubgan synthesize model_cards/cifar-r3gan -n 10000 -o fakes
python -m benchmarks.labels --dataset uoft-cs/cifar10 --synthetic fakes
"""

import argparse

from benchmarks.classifier import BATCH, accuracy, images_of, trained
from benchmarks.common import called, markdown, write


def main() -> None:
    """Train, write results/labels.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--dataset-name", help="what the results call it")
    parser.add_argument("--synthetic", required=True, help="the folder that `hubgan synthesize` wrote")
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    classifier = trained([images_of(args.dataset, "train")], args.steps, args.seed)
    sets = {"real test images": images_of(args.dataset, "test"), "samples": images_of(args.synthetic, "train")}
    table = [
        {"judged": name, "images": len(each[0]), "accuracy": accuracy(classifier, *each)}
        for name, each in sets.items()
    ]
    write("labels", table, data=called(args.dataset, args.dataset_name), steps=args.steps, batch=BATCH, seed=args.seed)
    print(markdown(table))


if __name__ == "__main__":
    main()
