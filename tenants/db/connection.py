"""A driver connection that enters its tenant in the message that begins a transaction.

`BEGIN`, `SET LOCAL ROLE` and `SET LOCAL search_path` travel as one simple-protocol message, so
that scoping costs no round trip and there is no moment at which a transaction is open without
its scope. The settings are local to the transaction: the server itself takes them back at its
end, and a connection returns to the pool as it came.

The tenant is set on the driver connection by the `begin` listener of `tenants.db.engine`.
Without one, the runtime login has no rights on any table and PostgreSQL answers "permission
denied".
"""

from typing import Any

import asyncpg
from asyncpg.transaction import Transaction, TransactionState

from tenants.tenant import TenantRef

_ISOLATION = {
    "read_committed": " ISOLATION LEVEL READ COMMITTED",
    "read_uncommitted": " ISOLATION LEVEL READ UNCOMMITTED",
    "repeatable_read": " ISOLATION LEVEL REPEATABLE READ",
    "serializable": " ISOLATION LEVEL SERIALIZABLE",
}


class TenantConnection(asyncpg.Connection):
    """An asyncpg connection whose transactions are scoped to `tenant`."""

    tenant: TenantRef | None = None
    read_only: bool = False

    def transaction(
        self, *, isolation: str | None = None, readonly: bool = False, deferrable: bool = False
    ) -> Transaction:
        self._check_open()
        return TenantTransaction(self, isolation, readonly or self.read_only, deferrable)


class TenantTransaction(Transaction):
    """A transaction that is inside its tenant from its first moment."""

    async def start(self) -> None:
        """Begin, as the tenant's role and with its schema as the whole search path.

        Whatever goes wrong, no transaction stays open: a server that refuses the role has
        already executed the BEGIN, and the next tenant on this connection would get "current
        transaction is aborted". So it is rolled back, or the connection is terminated.
        """
        connection: Any = self._connection
        if connection._top_xact is not None:
            await super().start()  # A savepoint: scope comes from the transaction around it.
            return
        message = self._begin_message(connection.tenant)
        try:
            try:
                await connection.execute(message)
            except asyncpg.InsufficientPrivilegeError:
                await self._roll_back_or_terminate(connection)
                await _forget_memberships(connection)
                await connection.execute(message)
        except asyncpg.PostgresError:
            self._state = TransactionState.FAILED
            if connection.is_in_transaction():
                await self._roll_back_or_terminate(connection)
            raise
        except BaseException:
            self._state = TransactionState.FAILED
            connection.terminate()
            raise
        connection._top_xact = self
        self._state = TransactionState.STARTED

    async def commit(self) -> None:
        """Commit, and make sure of it.

        A server that is told to commit a failed transaction rolls it back and reports no error:
        code that swallowed the failure would acknowledge a write that never happened.
        Raises InFailedSQLTransactionError.
        """
        connection: Any = self._connection
        if connection._top_xact is not self:
            await super().commit()  # A savepoint.
            return
        connection._top_xact = None
        self._state = TransactionState.FAILED
        if await connection.execute("COMMIT") != "COMMIT":
            raise asyncpg.InFailedSQLTransactionError("the transaction had failed; rolled back")
        self._state = TransactionState.COMMITTED

    def _begin_message(self, tenant: TenantRef | None) -> str:
        message = "BEGIN"
        if self._isolation:
            message += _ISOLATION[self._isolation]
        if self._readonly:
            message += " READ ONLY"
        if self._deferrable:
            message += " DEFERRABLE"
        if tenant is not None:
            name = tenant.schema
            message += f'; SET LOCAL ROLE "{name}"; SET LOCAL search_path TO "{name}"'
        return message

    @staticmethod
    async def _roll_back_or_terminate(connection: asyncpg.Connection) -> None:
        try:
            await connection.execute("ROLLBACK")
        except BaseException:
            connection.terminate()
            raise


async def _forget_memberships(connection: asyncpg.Connection) -> None:
    """Make a backend look anew at which roles its login is a member of.

    It keeps the list that it has worked out, until it hears of a grant. One that it hears of while
    it works is lost on it: it keeps a list without that grant, and refuses the newest tenants
    until the next one is onboarded. It has room for one role's list, so it is asked for another's.
    Source: PostgreSQL's `roles_is_member_of` in `src/backend/utils/adt/acl.c`.
    """
    privilege = "SET" if connection.get_server_version().major >= 16 else "MEMBER"
    await connection.execute(f"SELECT pg_has_role('pg_monitor', current_user, '{privilege}')")
