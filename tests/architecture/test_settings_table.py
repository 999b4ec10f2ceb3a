"""The documentation of the settings agrees with the models."""

import pytest

from project.dev.settings_table import TABLE, main, render_table
from project.settings import Settings, find_module_settings, name_variable
from tenants.modules import get_modules

MODELS = [Settings, *find_module_settings(Settings.model_fields["modules"].default)]


def test_the_table_is_as_the_models_say():
    assert TABLE.read_text() == render_table(), "run: python -m project.dev.settings_table"


@pytest.mark.parametrize("model", MODELS)
def test_every_setting_stands_there_with_its_description_and_default(model):
    rows = {}
    for line in TABLE.read_text().splitlines():
        if line.startswith("| `"):
            _, variable, *cells, _ = (cell.strip() for cell in line.split("|"))
            rows[variable.strip("`")] = cells
    for field_name, field in model.model_fields.items():
        values, default, description = rows[name_variable(model, field_name)]
        assert values
        assert description == field.description
        assert (default == "required") is field.is_required()


def test_a_setting_that_maps_names_to_values_is_a_json_object_with_what_is_set():
    row = next(line for line in render_table().splitlines() if "`TENANTRY_PLANS`" in line)
    _, _, values, default, *_ = (cell.strip() for cell in row.split("|"))
    assert (values, default) == ("JSON object, at least 1", '`{"standard":{}}`')


def test_the_settings_of_the_modules_are_those_of_their_contract():
    found = [module.settings for module in get_modules() if module.settings is not None]
    assert found == MODELS[1:]
    for module in get_modules():
        if module.settings is not None:
            prefix = f"TENANTRY_{module.name.upper()}_"
            assert module.settings.model_config["env_prefix"] == prefix


def test_the_entry_point_writes_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr("project.dev.settings_table.TABLE", tmp_path / "settings.md")
    main()
    assert (tmp_path / "settings.md").read_text() == render_table()
