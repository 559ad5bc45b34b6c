"""One tree on binned columns, compiled: grown to be asked once, so that the rows to score fall down it as it grows."""

import numpy as np

from raresmith.compiled import compiled

_GOLDEN, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_DEEPEST = 64
_LEAST_GAIN = 1e-12
"""Of the weight of a node: what is less is rounding."""


@compiled
def uniform(state):  # type: ignore[no-untyped-def]
    """The next number in [0, 1) of `state`, an array of one uint64 (splitmix64: Steele, Lea, Flood 2014, OOPSLA)."""
    state[0] += _GOLDEN
    value = state[0]
    value = (value ^ (value >> np.uint64(30))) * _FIRST
    value = (value ^ (value >> np.uint64(27))) * _SECOND
    return np.float64((value ^ (value >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@compiled
def poisson(state, rate, counts):  # type: ignore[no-untyped-def]
    """Fill `counts` with numbers of mean `rate` (Knuth 1969, 3.4.1)."""
    least = np.exp(-rate)
    for i in range(len(counts)):
        product, number = uniform(state), 0
        while product > least:
            product *= uniform(state)
            number += 1
        counts[i] = number


@compiled
def _partition(order, spare, start, end, bins, left):  # type: ignore[no-untyped-def]
    """Bring the rows that go left to the front of order[start:end], all in their order; where the others begin."""
    middle, n_right = start, 0
    for i in range(start, end):
        row = order[i]
        if left[bins[row]]:
            order[middle] = row
            middle += 1
        else:
            spare[n_right] = row
            n_right += 1
    order[middle:end] = spare[:n_right]
    return middle


@compiled
def _in_order_of_class(sums, sizes, low, high, positive, order):  # type: ignore[no-untyped-def]
    """Put the codes of low..high that have rows into `order`, by the weight of the class `positive`; how many they are.

    The cuts of this order are the sets that MLlib tries. By the share of the class in place of its weight the best of
    all sets would be among them (Breiman et al. 1984, theorem 4.5), but the trees were not MLlib's, and no better.
    """
    n = 0
    for code in range(low, high + 1):
        if sizes[code] > 0:
            place = n
            while place > 0 and sums[order[place - 1], positive] > sums[code, positive]:
                order[place] = order[place - 1]
                place -= 1
            order[place] = code
            n += 1
    return n


@compiled
def _count(bins, column, rows, start, end, labels, counts, weights, sums, sizes):  # type: ignore[no-untyped-def]
    """Add the weights by bin and class and the rows by bin of rows[start:end]; the lowest and the highest bin."""
    low, high = len(sizes), -1
    for i in range(start, end):
        row = rows[i]
        of = bins[column, row]
        sums[of, labels[row]] += counts[row] * weights[row]
        sizes[of] += counts[row]
        low, high = min(low, of), max(high, of)
    return low, high


@compiled
def _best_cut(order, n_places, sums, sizes, least_rows, total, best):  # type: ignore[no-untyped-def]
    """The gain of the best cut of `order` that gains more than `best`, and its place; -1 where there is none.

    What a cut gains is the decrease of Gini impurity, times the weight. `total` are the weights by class.
    """
    lefts = np.zeros(len(total))
    weight, before, n_rows = total.sum(), 0.0, 0
    for c in range(len(total)):
        before += total[c] * total[c] / weight
    for place in range(n_places):
        n_rows += sizes[order[place]]
    left_rows, improved = 0, -1
    for place in range(n_places - 1):
        of = order[place]
        if sizes[of] == 0:
            continue
        left_rows += sizes[of]
        left_weight, left_square, right_square = 0.0, 0.0, 0.0
        for c in range(len(total)):
            lefts[c] += sums[of, c]
            left_weight += lefts[c]
            left_square += lefts[c] * lefts[c]
            right_square += (total[c] - lefts[c]) * (total[c] - lefts[c])
        if left_rows < least_rows or n_rows - left_rows < least_rows:
            continue
        gain = left_square / left_weight + right_square / (weight - left_weight) - before
        if gain > best:
            best, improved = gain, place
    return best, improved


@compiled
def _best_split(  # type: ignore[no-untyped-def]
    bins, nominal, rows, start, end, labels, counts, weights, positive, subset, least_rows, state, columns, total, work
):
    """The column of the best split of rows[start:end] by `subset` columns, -1 for none, and its gain.

    The bins that go left are the true ones of the last of `work`: sums, sizes, order, left.
    """
    sums, sizes, order, left = work
    best, best_column = _LEAST_GAIN * total.sum(), -1
    for chosen in range(subset):
        if subset < len(bins):
            other = chosen + int(uniform(state) * (len(bins) - chosen))
            columns[chosen], columns[other] = columns[other], columns[chosen]
        column = columns[chosen]
        low, high = _count(bins, column, rows, start, end, labels, counts, weights, sums, sizes)
        if nominal[column]:
            n_places = _in_order_of_class(sums, sizes, low, high, positive, order)
        else:
            n_places = high - low + 1
            for place in range(n_places):
                order[place] = low + place
        gain, improved = _best_cut(order, n_places, sums, sizes, least_rows, total, best)
        if improved >= 0:
            best, best_column = gain, column
            # Rows to score may have numbers below all that are learnt from here.
            left[:] = not nominal[column]
            left[low:] = False
            for place in range(improved + 1):
                left[order[place]] = True
        # Only what these rows have touched.
        sums[low : high + 1] = 0
        sizes[low : high + 1] = 0
    return best_column, best


@compiled
def _finish(totals, split, gains, children, leaf_of, n_nodes, scores, importances):  # type: ignore[no-untyped-def]
    """Prune the tree as MLlib does, and add what is left of it to `scores` and `importances`.

    From below, a node whose children are leaves that predict the same class becomes a leaf.
    """
    parent = np.arange(n_nodes)
    for node in range(n_nodes - 1, -1, -1):
        first = children[node]
        if split[node] < 0 or split[first] >= 0 or split[first + 1] >= 0:
            continue
        if np.argmax(totals[first]) == np.argmax(totals[first + 1]):
            split[node] = -1
            parent[first] = parent[first + 1] = node
    for node in range(n_nodes):
        if split[node] >= 0:
            importances[split[node]] += gains[node]
    for i in range(len(leaf_of)):
        node = leaf_of[i]
        while parent[node] != node:
            node = parent[node]
        scores[i] += totals[node] / totals[node].sum()


@compiled
def grow(bins, nominal, labels, counts, weights, positive, subset, depth, least_rows, state, scores, importances):  # type: ignore[no-untyped-def]
    """Add the class shares of one tree to `scores`, and the decreases of Gini impurity by its splits to `importances`.

    Parameters
    ----------
    bins : ndarray of shape (d, n + m), uint16
        The bin of each column for the n rows that are learnt from, then for the m rows that are scored.
    nominal : ndarray of shape (d,), bool
        The columns whose bins have no order.
    labels, counts, weights : ndarrays of shape (n,)
        Class of each row, how often the tree sees it, and its weight.
    positive : int
        The class by whose share nominal bins are put in order.
    subset : int
        Columns that a split looks at.
    depth, least_rows : int, of the tree, and of a leaf
    state : ndarray of shape (1,), uint64, of the random numbers
    scores : ndarray of shape (m, n_classes)
    importances : ndarray of shape (d,)
    """
    n, n_scored = len(labels), bins.shape[1] - len(labels)
    rows, scored = np.flatnonzero(counts), np.arange(n, n + n_scored)
    spare = np.empty(max(len(rows), n_scored), rows.dtype)
    columns, most = np.arange(len(bins)), int(bins.max()) + 1
    left = np.zeros(most, np.bool_)
    work = np.zeros((most, scores.shape[1])), np.zeros(most, np.int64), np.empty(most, np.int64), left
    # Of each node the weights of the classes, the column and the gain of its split, and the first of its two children.
    n_nodes, most_nodes = 1, 2 * len(rows) + 1
    totals, split, gains = np.zeros((most_nodes, scores.shape[1])), np.full(most_nodes, -1), np.zeros(most_nodes)
    children, leaf_of = np.zeros(most_nodes, np.int64), np.empty(n_scored, np.int64)
    stack = np.empty((_DEEPEST, 6), np.int64)
    stack[0] = 0, len(rows), 0, n_scored, 0, 0
    top = 1
    while top > 0:
        top -= 1
        start, end, scored_start, scored_end, level, node = stack[top]
        n_rows, total = 0, totals[node]
        for i in range(start, end):
            total[labels[rows[i]]] += counts[rows[i]] * weights[rows[i]]
            n_rows += counts[rows[i]]
        column = -1
        if level < depth and n_rows >= 2 * least_rows and total.max() < total.sum():
            column, gains[node] = _best_split(
                bins, nominal, rows, start, end, labels, counts, weights, positive, subset, least_rows, state, columns,
                total, work,
            )  # fmt: skip
        split[node] = column
        if column < 0:
            for i in range(scored_start, scored_end):
                leaf_of[scored[i] - n] = node
            continue
        children[node] = n_nodes
        middle = _partition(rows, spare, start, end, bins[column], left)
        scored_middle = _partition(scored, spare, scored_start, scored_end, bins[column], left)
        stack[top] = start, middle, scored_start, scored_middle, level + 1, n_nodes
        stack[top + 1] = middle, end, scored_middle, scored_end, level + 1, n_nodes + 1
        top += 2
        n_nodes += 2
    _finish(totals, split, gains, children, leaf_of, n_nodes, scores, importances)
