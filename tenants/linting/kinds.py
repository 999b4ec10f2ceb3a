"""Which kinds of statements a revision may have; what isn't listed here isn't one of them."""

from collections.abc import Iterator

from pglast import ast
from pglast.enums import AlterTableType, ObjectType

from tenants.linting.statements import Hit, Statement, hit, list_commands

_FITTING = (
    *(ast.CreateStmt, ast.CreateTableAsStmt, ast.AlterTableStmt, ast.IndexStmt, ast.ReindexStmt),
    *(ast.ViewStmt, ast.RefreshMatViewStmt, ast.DropStmt, ast.RenameStmt, ast.CommentStmt),
    *(ast.CreateStatsStmt, ast.AlterStatsStmt, ast.LockStmt),
    *(ast.SelectStmt, ast.InsertStmt, ast.UpdateStmt, ast.DeleteStmt, ast.MergeStmt),
    ast.TruncateStmt,
)
_REFUSED = {
    "own-type": (
        *(ast.CreateEnumStmt, ast.AlterEnumStmt, ast.CreateDomainStmt, ast.AlterDomainStmt),
        *(ast.CompositeTypeStmt, ast.CreateRangeStmt, ast.AlterTypeStmt),
    ),
    "database-numbers": (ast.CreateSeqStmt, ast.AlterSeqStmt),
    "trigger": (ast.CreateTrigStmt, ast.CreateEventTrigStmt, ast.AlterEventTrigStmt),
    "rewrite-rule": (ast.RuleStmt,),
    "database-code": (ast.DoStmt, ast.CreateFunctionStmt, ast.AlterFunctionStmt, ast.CallStmt),
    "transaction-control": (ast.TransactionStmt,),
    "session-setting": (ast.DiscardStmt,),
    "rights": (
        *(ast.GrantStmt, ast.GrantRoleStmt, ast.AlterDefaultPrivilegesStmt, ast.AlterOwnerStmt),
        *(ast.CreateRoleStmt, ast.AlterRoleStmt, ast.AlterRoleSetStmt, ast.DropRoleStmt),
        *(ast.DropOwnedStmt, ast.ReassignOwnedStmt, ast.CreatePolicyStmt, ast.AlterPolicyStmt),
    ),
    "table-rewrite": (ast.ClusterStmt,),
}
# ALTER TABLE is said of types and sequences, too.
_ALTERED = {
    ObjectType.OBJECT_TYPE: "own-type",
    ObjectType.OBJECT_SEQUENCE: "database-numbers",
}
_COMMANDS = {
    AlterTableType.AT_AddIdentity: "database-numbers",
    AlterTableType.AT_ChangeOwner: "rights",
    AlterTableType.AT_EnableRowSecurity: "rights",
    AlterTableType.AT_ForceRowSecurity: "rights",
    AlterTableType.AT_SetLogged: "table-rewrite",
    AlterTableType.AT_SetUnLogged: "table-rewrite",
    AlterTableType.AT_SetTableSpace: "table-rewrite",
    AlterTableType.AT_SetAccessMethod: "table-rewrite",
    AlterTableType.AT_SetExpression: "table-rewrite",
}
_ENGINES = {"search_path", "role", "session_authorization"}


def check_kind(statement: Statement) -> Iterator[Hit]:
    tree = statement.tree
    if isinstance(tree, ast.VariableSetStmt):
        if not tree.is_local or tree.name in _ENGINES:
            yield hit("session-setting", tree.name or "")
        return
    for rule, kinds in _REFUSED.items():
        if isinstance(tree, kinds):
            yield hit(rule)
            return
    if not isinstance(tree, _FITTING):
        yield hit("unfit-statement")
    if isinstance(tree, ast.AlterTableStmt) and tree.objtype in _ALTERED:
        yield hit(_ALTERED[tree.objtype])
    for command in list_commands(statement):
        if command.subtype in _COMMANDS:
            yield hit(_COMMANDS[command.subtype])
    for node in statement.nodes:
        match node:
            case ast.FuncCall(funcname=(*_, ast.String(sval="set_config"))):
                yield hit("session-setting", "set_config")
