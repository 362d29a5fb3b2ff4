"""What truncating the latents does: precision, recall and the distances of a generator at several thresholds.

python -m benchmarks.truncation model_cards/cifar-r3gan --dataset uoft-cs/cifar10
"""

import argparse
from pathlib import Path

from benchmarks.common import markdown, reference, write
from hubgan import Generator
from hubgan.evaluation import evaluate_generator


def main() -> None:
    """Measure, write results/truncation.json, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--dataset-name", help="what the results call it")
    parser.add_argument("--split", default="test")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.5, 1.0, 1.5, 2.0])
    args = parser.parse_args()
    generator, against = Generator.from_pretrained(args.model), reference(args.dataset, args.split, args.dataset_name)
    table = []
    for threshold in (None, *args.thresholds):
        results = evaluate_generator(generator, against, samples=args.samples, truncation=threshold, progress=True)
        figures = {result["name"]: result["value"] for result in results}
        table.append({"truncation": "none" if threshold is None else f"{threshold:g}", **figures})
        about = {"model": Path(args.model).name, "data": str(against), "samples": args.samples}
        write("truncation", table, **about)
    print(markdown(table))


if __name__ == "__main__":
    main()
