"""The version row, and the triggers that increment it.

Triggers, so that a change is noticed whoever makes it: a function of ours, the admin, or psql.
Only what processes may hold in memory counts: a new tenant or key is in nobody's memory yet, and
`last_used_at` is of no interest to them.
"""

from django.db import migrations

FORWARDS = """
INSERT INTO tenants_registryversion (id, version) VALUES (1, 1);

CREATE FUNCTION tenants_bump_registry_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE tenants_registryversion SET version = version + 1 WHERE id = 1;
    RETURN NULL;
END $$;

CREATE TRIGGER tenants_tenant_changed
    AFTER UPDATE OF slug, status, modules, database OR DELETE OR TRUNCATE ON tenants_tenant
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_bump_registry_version();
CREATE TRIGGER tenants_apikey_changed
    AFTER UPDATE OF secret_hash, scopes, tenant_id, expires_at, revoked_at OR DELETE OR TRUNCATE
    ON tenants_apikey
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_bump_registry_version();
CREATE TRIGGER tenants_domain_changed
    AFTER UPDATE OR DELETE OR TRUNCATE ON tenants_domain
    FOR EACH STATEMENT EXECUTE FUNCTION tenants_bump_registry_version();
"""

BACKWARDS = """
DROP TRIGGER tenants_domain_changed ON tenants_domain;
DROP TRIGGER tenants_apikey_changed ON tenants_apikey;
DROP TRIGGER tenants_tenant_changed ON tenants_tenant;
DROP FUNCTION tenants_bump_registry_version();
DELETE FROM tenants_registryversion;
"""


class Migration(migrations.Migration):
    dependencies = [("tenants", "0001_initial")]

    operations = [migrations.RunSQL(FORWARDS, BACKWARDS)]
