"""An item of each type that the `openai` SDK knows, and some that it doesn't."""

from typing import Any

TEXT = "Is it raining? ☔ \u202e\\u0041 \t\n"
# Spaces, order and escapes that no JSON library would write.
ARGUMENTS = '{ "b":1.50,"a" : "\\u00e9" , "a": [ ]}'

ITEMS: list[dict[str, Any]] = [
    {
        "type": "message",
        "role": "user",
        "content": [
            {"type": "input_text", "text": TEXT},
            {"type": "input_image", "detail": "original", "image_url": "https://example.com/a.png"},
            {"type": "input_image", "detail": "low", "image_url": "data:image/png;base64,aGk="},
            {"type": "input_image", "detail": "auto", "file_id": "file-1"},
            {"type": "input_file", "file_url": "https://example.com/a.pdf", "filename": "a.pdf"},
            {"type": "input_file", "file_data": "aGk=", "filename": "b.txt"},
        ],
        "status": "completed",
    },
    {
        "type": "message",
        "role": "assistant",
        "status": "incomplete",
        "phase": "commentary",
        "content": [
            {
                "type": "output_text",
                "text": TEXT,
                "annotations": [
                    {
                        "type": "url_citation",
                        "start_index": 0,
                        "end_index": 2,
                        "title": "t",
                        "url": "https://example.com",
                    }
                ],
                "logprobs": [{"token": "I", "bytes": [73], "logprob": -0.25, "top_logprobs": []}],
            }
        ],
    },
    {
        "type": "message",
        "role": "assistant",
        "status": "completed",
        "content": [{"type": "refusal", "refusal": "No."}],
    },
    {
        "type": "message",
        "role": "critic",
        "status": "completed",
        "content": [
            {"type": "text", "text": "a"},
            {"type": "summary_text", "text": "b"},
            {"type": "reasoning_text", "text": "c"},
            {"type": "computer_screenshot", "file_id": None, "image_url": "https://example.com"},
            {"type": "hologram", "text": "d", "depth": 3},
        ],
    },
    {"type": "message", "role": "developer", "status": "completed", "content": []},
    {
        "type": "function_call",
        "call_id": "call_1",
        "name": "look_up",
        "arguments": ARGUMENTS,
        "status": "completed",
        "namespace": "weather",
        "async": True,
        "caller": {"type": "direct"},
    },
    {
        "type": "function_call_output",
        "call_id": "call_1",
        "output": TEXT,
        "status": "completed",
        "created_by": "me",
    },
    {
        "type": "function_call",
        "call_id": "call_2",
        "name": "look_up",
        "arguments": "not JSON",
        "status": "in_progress",
    },
    {
        "type": "function_call_output",
        "call_id": "call_2",
        "output": [
            {"type": "input_text", "text": TEXT},
            {"type": "input_image", "detail": "high", "image_url": "https://example.com/b.png"},
        ],
        "status": "completed",
    },
    {"type": "function_call_output", "call_id": "gone", "output": "late", "status": "completed"},
    {
        "type": "file_search_call",
        "queries": ["a"],
        "status": "completed",
        "results": [{"file_id": "f", "score": 0.5, "text": "t", "attributes": {"k": 1}}],
    },
    {
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": "q", "sources": [{"type": "url", "url": "u"}]},
    },
    {"type": "image_generation_call", "result": "aGk=", "status": "generating"},
    {
        "type": "computer_call",
        "call_id": "cc",
        "pending_safety_checks": [],
        "status": "completed",
        "action": {"type": "click", "button": "left", "x": 1, "y": 2},
    },
    {
        "type": "computer_call_output",
        "call_id": "cc",
        "output": {"type": "computer_screenshot", "image_url": "https://example.com"},
        "status": "completed",
    },
    {
        "type": "tool_search_call",
        "arguments": {"q": None},
        "execution": "client",
        "call_id": None,
        "status": "completed",
    },
    {"type": "tool_search_output", "execution": "client", "tools": [], "status": "completed"},
    {"type": "additional_tools", "role": "developer", "tools": [{"type": "web_search"}]},
    {"type": "configuration_update", "configuration": {"x": 1}},
    {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": TEXT}],
        "content": [{"type": "reasoning_text", "text": "c"}],
        "encrypted_content": "aGk=",
    },
    {"type": "program", "call_id": "p", "code": "1", "fingerprint": "f"},
    {"type": "program_output", "call_id": "p", "result": "1", "status": "completed"},
    {"type": "compaction", "encrypted_content": "aGk="},
    {
        "type": "code_interpreter_call",
        "container_id": "c",
        "status": "completed",
        "code": None,
        "outputs": [{"type": "logs", "logs": "x"}],
    },
    {
        "type": "local_shell_call",
        "call_id": "ls",
        "status": "completed",
        "action": {"type": "exec", "command": ["ls"], "env": {}},
    },
    {"type": "local_shell_call_output", "output": "{}"},
    {
        "type": "shell_call",
        "call_id": "s",
        "status": "completed",
        "action": {"commands": ["ls"], "timeout_ms": None},
    },
    {"type": "shell_call_output", "call_id": "s", "output": [], "status": "completed"},
    {
        "type": "apply_patch_call",
        "call_id": "ap",
        "operation": {"type": "delete_file", "path": "x"},
        "status": "completed",
    },
    {"type": "apply_patch_call_output", "call_id": "ap", "status": "failed"},
    {"type": "mcp_list_tools", "server_label": "m", "tools": [{"name": "t", "input_schema": {}}]},
    {"type": "mcp_approval_request", "arguments": ARGUMENTS, "name": "n", "server_label": "m"},
    {"type": "mcp_approval_response", "approval_request_id": "a", "approve": True},
    {"type": "mcp_call", "arguments": ARGUMENTS, "name": "n", "server_label": "m", "output": "o"},
    {"type": "custom_tool_call", "call_id": "ct", "input": TEXT, "name": "n"},
    {"type": "custom_tool_call_output", "call_id": "ct", "output": TEXT},
    {"type": "telepathy_call", "thought": {"deep": [1, 2.5, None, True, {"": ""}]}, "content": 7},
]
