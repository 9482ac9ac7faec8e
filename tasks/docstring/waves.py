"""In which wave each definition is documented: after those that it calls, so that its prompt can tell what they do."""

from collections.abc import Iterator, Sequence

Graph = Sequence[Sequence[int]]
"""For each node the nodes that it needs. A node may need itself, which means nothing."""


def waves(needs: Graph, names: Sequence[str], most: int) -> list[int]:
    """The wave of each node, from 0, at most ``most`` of them; a need is met where its wave is the lower one.

    Cycles are broken where the fewest callers lose by it: the member that its cycle refers to least comes last, by
    ``names`` where that leaves a choice. Equal graphs give equal waves, whatever else the nodes are.
    """
    levels = [0] * len(needs)
    for component in _components(needs):
        members = component if len(component) == 1 else _broken(component, needs, names)
        inside, ready = set(members), set[int]()
        for node in members:
            met = [levels[other] + 1 for other in needs[node] if other not in inside or other in ready]
            levels[node] = max(met, default=0)
            ready.add(node)
    return [min(level, most - 1) for level in levels]


def _broken(component: Sequence[int], needs: Graph, names: Sequence[str]) -> list[int]:
    """The members of a cycle in an order of their own: what still can comes after all that it needs."""
    inside = set(component)
    open_needs = {node: {other for other in needs[node] if other in inside and other != node} for node in component}
    callers: dict[int, set[int]] = {node: set() for node in component}
    for node, others in open_needs.items():
        for other in others:
            callers[other].add(node)
    least = iter(sorted(component, key=lambda node: (len(callers[node]), names[node])))
    first: list[int] = []
    last: list[int] = []
    free = [node for node in sorted(component, key=names.__getitem__) if not open_needs[node]]
    while len(first) + len(last) < len(component):
        if free:
            node = free.pop(0)
            first.append(node)
        else:
            node = next(candidate for candidate in least if candidate in inside)
            last.append(node)
        inside.discard(node)
        for caller in sorted(callers[node] & inside, key=names.__getitem__):
            open_needs[caller].discard(node)
            if not open_needs[caller]:
                free.append(caller)
    return first + last[::-1]


def _components(needs: Graph) -> Iterator[list[int]]:
    """Strongly connected components, each after those that it needs (Tarjan 1972, without recursion)."""
    order: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    for root in range(len(needs)):
        path = [] if root in order else [(root, iter(needs[root]))]
        while path:
            node, rest = path[-1]
            if node not in order:
                order[node] = low[node] = len(order)
                stack.append(node)
                on_stack.add(node)
            other = next((other for other in rest if other not in order or other in on_stack), None)
            if other is None:
                path.pop()
                if path:
                    low[path[-1][0]] = min(low[path[-1][0]], low[node])
                if low[node] == order[node]:
                    yield _popped(stack, on_stack, node)
            elif other in order:
                low[node] = min(low[node], order[other])
            else:
                path.append((other, iter(needs[other])))


def _popped(stack: list[int], on_stack: set[int], node: int) -> list[int]:
    at = stack.index(node)
    component, stack[at:] = stack[at:], []
    on_stack.difference_update(component)
    return component
