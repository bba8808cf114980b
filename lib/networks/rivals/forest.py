"""A random forest whose trees are tensors, so that it is saved and moved like any layer."""

import numpy as np
import torch
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor, nn


class Forest(nn.Module):
    """scikit-learn's random forest for two classes, as complete binary trees.

    Every tree has all nodes of its `depth`, so the shapes are known before `fit` and nothing needs
    a pickle. Until then the probability is a half, and `fitted` is false.

    Args:
        inputs: numbers that describe one case.
        trees, depth: how many, and how deep at most.

    >>> forest = Forest(1, trees=10, depth=2)
    >>> forest.fit(torch.arange(8.0)[:, None], torch.arange(8) // 4)
    >>> (forest(torch.tensor([[0.0], [7.0]])) > 0.5).tolist()
    [False, True]
    """

    def __init__(self, inputs: int, *, trees: int = 100, depth: int = 6):
        super().__init__()
        self.inputs, self.trees, self.depth = inputs, trees, depth
        inner, leaves = 2**depth - 1, 2**depth
        self.register_buffer("feature", torch.zeros(trees, inner, dtype=torch.long))
        self.register_buffer("threshold", torch.zeros(trees, inner, dtype=torch.float64))
        self.register_buffer("leaf", torch.full((trees, leaves), 0.5, dtype=torch.float64))
        self.register_buffer("done", torch.tensor(False))

    @property
    def fitted(self) -> bool:
        """Whether the trees have been grown."""
        return not self.done.is_meta and bool(self.done)

    def fit(self, values: Tensor, label: Tensor) -> None:
        """Grow the trees on values (N, inputs) and labels (N,), 0 or 1, the same way every time.

        Raises ValueError unless both classes are there.
        """
        found = sorted(set(label.tolist()))
        if found != [0, 1]:
            raise ValueError(
                f"the labels are {found}; a forest needs cases of both classes, 0 and 1"
            )
        forest = RandomForestClassifier(self.trees, max_depth=self.depth, random_state=0)
        forest.fit(values.cpu().numpy(), label.cpu().numpy())
        grown = [_complete(one.tree_, self.depth) for one in forest.estimators_]
        for name, parts in zip(
            ("feature", "threshold", "leaf"), zip(*grown, strict=True), strict=True
        ):
            getattr(self, name).copy_(torch.from_numpy(np.stack(parts)))
        self.done.fill_(True)

    def forward(self, values: Tensor) -> Tensor:
        """Probability of class 1, float64 (N,), the mean over the trees; values (N, inputs)."""
        values = values.float().double()  # scikit-learn compares float32 with float64, too
        tree = torch.arange(self.trees, device=values.device)[:, None]
        at = tree.new_zeros((self.trees, len(values)))
        for _ in range(self.depth):
            asked = values.gather(1, self.feature[tree, at].T).T
            at = 2 * at + 1 + (asked > self.threshold[tree, at])
        return self.leaf[tree, at - (2**self.depth - 1)].mean(0)


def _complete(tree: object, depth: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Feature and threshold of each inner node, and each leaf's share of class 1.

    Node k has the children 2 k + 1 and 2 k + 2. A leaf higher up is repeated below.
    """
    inner = 2**depth - 1
    feature, threshold = np.zeros(inner, np.int64), np.zeros(inner)
    leaf = np.zeros(inner + 1)
    waiting = [(0, 0)]  # a node of theirs, and its place here
    while waiting:
        node, place = waiting.pop()
        if place >= inner:
            leaf[place - inner] = tree.value[node, 0, 1] / tree.value[node, 0].sum()
            continue
        left, right = tree.children_left[node], tree.children_right[node]
        if left == right:  # a leaf
            left = right = node
        else:
            feature[place], threshold[place] = tree.feature[node], tree.threshold[node]
        waiting += [(left, 2 * place + 1), (right, 2 * place + 2)]
    return feature, threshold, leaf
