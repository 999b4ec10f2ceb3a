async def test_a_message_is_read_as_it_was_appended(api):
    conversation = (await api.post("/conversations", json={"title": "Hello"})).json()
    path = f"/conversations/{conversation['id']}/messages"

    answer = await api.post(path, json={"role": "user", "content": "Hi"})

    assert answer.status_code == 201
    assert answer.json()["seq"] == 1
    assert (await api.get(path)).json()["data"] == [answer.json()]
