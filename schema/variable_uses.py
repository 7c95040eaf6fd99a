"""How often an operation reads each of its variables, with everything that its fragments read for it."""

from collections import Counter
from collections.abc import Mapping

from graphql import (
    DirectiveNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    Visitor,
    visit,
)


def variable_uses(
    operation: OperationDefinitionNode, fragments: Mapping[str, FragmentDefinitionNode]
) -> Mapping[str, int]:
    """Uses by the name of the variable; a fragment counts as often as it is spread, and is read once."""
    known: dict[str, Counter[str]] = {}

    def of_fragment(name: str) -> Counter[str]:
        if name not in known:
            fragment = fragments[name]
            known[name] = of_nodes(fragment.selection_set, *(fragment.directives or ()))
        return known[name]

    def of_nodes(*nodes: SelectionSetNode | DirectiveNode) -> Counter[str]:
        counting = _Uses()
        for node in nodes:
            visit(node, counting)
        for name, times in counting.spreads.items():
            for variable, uses in of_fragment(name).items():
                counting.variables[variable] += uses * times
        return counting.variables

    return of_nodes(operation.selection_set, *(operation.directives or ()))


class _Uses(Visitor):
    def __init__(self) -> None:
        super().__init__()
        self.variables: Counter[str] = Counter()
        self.spreads: Counter[str] = Counter()

    def enter_variable(self, node: VariableNode, *_: object) -> None:
        self.variables[node.name.value] += 1

    def enter_fragment_spread(self, node: FragmentSpreadNode, *_: object) -> None:
        self.spreads[node.name.value] += 1
