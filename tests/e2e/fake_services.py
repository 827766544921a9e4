"""The services that the real codex, opencode, qwen and gemini talk to, on loopback, for nothing.

It does what the prompt says, as fake_model.py does it for claude, and speaks as much of OpenAI's
Responses API (codex), of its Chat Completions (opencode, qwen) and of Gemini's API as they need:

    [[text WORDS]]       a text, and the end of the turn
    [[bash COMMAND]]     a call of the agent's own tool that runs a command
    [[write PATH=TEXT]]  a call of its own tool that writes a file, or of the other one
    [[empty]]            the end of the turn, without text and tokens
    [[status N]]         an error as the real API words it
    [[credit]]           the refusal of an account that is out of credits
    [[limit SECONDS]]    the refusal of a subscription whose limit resets in so many seconds
    [[hang SECONDS]]     no answer for so long

Called as a program, with a port and a file, it says that it is ready, and serves until it is ended.
Each request is a line of that file: the name by which the agent calls, the names of the tools that
it offers, and what its calls of them gave.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STEP = re.compile(r"\[\[(text|bash|write|empty|status|credit|limit|hang)\b ?(.*?)\]\]", re.DOTALL)
DIRECTORY = re.compile(r'working in the directory: (/[^\s"\\]+)')
# What every answer costs, in tokens in and out.
TOKENS = (1200, 34)
# The tools by which the agents run a command, and write a file.
RUNNERS = ("exec_command", "shell_command", "shell", "bash", "run_shell_command")
WRITERS = ("write", "write_file")
BAD_KEY = "Incorrect API key provided: sk-fake."
BUSY = "The server is overloaded or not ready yet."
CREDIT = "You exceeded your current quota, please check your plan and billing details."
ERRORS = {
    400: ("invalid_request_error", "Invalid request."),
    401: ("invalid_api_key", BAD_KEY),
    429: ("rate_limit_exceeded", "Rate limit reached for fake-model. Please try again in 20s."),
    529: ("server_error", BUSY),
}


class Asked:
    """What a request says: the texts of its turns, and the tools that the agent offers."""

    def __init__(self, path: str, body: Mapping[str, Any]) -> None:
        self.is_gemini = ":" in path
        self.is_responses = path.endswith("/responses")
        self.is_streamed = bool(body.get("stream")) or "streamGenerate" in path
        self.turns: list[tuple[list[str], bool]] = []
        self.tools: dict[str, Any] = {}
        # What the calls of tools gave, as far as the agent's API has it in one place.
        self.results: list[str] = []
        # The directory that the agent says to work in, if it says it; blank: it does not.
        match = DIRECTORY.search(json.dumps(body))
        self.directory = match[1] if match else ""
        if self.is_gemini:
            self._read_gemini(body)
        elif self.is_responses:
            self._read_responses(body)
        else:
            self._read_chat(body)

    def _read_chat(self, body: Mapping[str, Any]) -> None:
        for message in body.get("messages", []):
            if message["role"] == "tool":
                self.results.append(" ".join(_texts(message.get("content")))[:300])
            if message["role"] != "system":
                self.turns.append((_texts(message.get("content")), message["role"] == "tool"))
        for tool in body.get("tools") or []:
            self.tools[tool["function"]["name"]] = tool["function"].get("parameters", {})

    def _read_responses(self, body: Mapping[str, Any]) -> None:
        for item in body.get("input", []):
            is_result = str(item.get("type", "")).endswith("_output")
            if is_result:
                self.results.append(str(item.get("output"))[:300])
            self.turns.append((_texts(item.get("content")), is_result))
        for tool in body.get("tools") or []:
            self.tools[tool.get("name") or tool.get("type")] = tool.get("parameters", {})

    def _read_gemini(self, body: Mapping[str, Any]) -> None:
        for turn in body.get("contents", []):
            parts = turn.get("parts", [])
            texts = [part["text"] for part in parts if "text" in part]
            self.turns.append((texts, any("functionResponse" in part for part in parts)))
        for group in body.get("tools") or []:
            for tool in group.get("functionDeclarations", []):
                schema = tool.get("parametersJsonSchema") or tool.get("parameters") or {}
                self.tools[tool["name"]] = schema

    def step(self) -> tuple[str, str]:
        """The directive that this request is to be answered by."""
        results = 0
        for texts, is_result in reversed(self.turns):
            results += is_result
            asked = [text for text in texts if STEP.search(text)]
            if asked:
                steps = STEP.findall(asked[-1])
                return steps[results] if results < len(steps) else ("text", "Done.")
        return "text", "ok"

    def call(self, verb: str, argument: str) -> tuple[str, dict[str, Any]] | None:
        """The name and the arguments of a call of the agent's own tool; None: it offers none."""
        path, _equals, text = argument.partition("=")
        names = [name for name in WRITERS if name in self.tools] if verb == "write" else []
        command = argument
        if verb == "write" and not names:
            command = f"printf %s '{text}' > '{path}'"
        names = names or [name for name in RUNNERS if name in self.tools]
        if not names:
            return None
        schema = self.tools[names[0]]
        given: dict[str, Any] = {}
        for key, kind in (schema.get("properties") or {}).items():
            if key in ("filePath", "file_path", "path"):
                # Some take nothing but an absolute path.
                given[key] = os.path.join(self.directory, path)
            elif key == "content":
                given[key] = text
            elif key in ("cmd", "command"):
                is_list = "array" in json.dumps(kind.get("type"))
                given[key] = ["bash", "-lc", command] if is_list else command
            elif key in (schema.get("required") or []):
                given[key] = _of_type(json.dumps(kind.get("type")).lower())
        return names[0], given


def _of_type(kind: str) -> object:
    """A value for an argument that must be given."""
    if "bool" in kind:
        return False
    return 1000 if "number" in kind or "integer" in kind else "as asked"


def _texts(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [str(part.get("text", "")) for part in parts if isinstance(part, dict)]


def refusal(asked: Asked, verb: str, argument: str) -> tuple[int, dict[str, Any]]:
    """Status and body of an error."""
    if verb == "limit" and not asked.is_gemini:
        seconds = int(argument)
        error: dict[str, Any] = {"type": "usage_limit_reached", "plan_type": "plus"}
        error |= {"resets_at": int(time.time()) + seconds, "resets_in_seconds": seconds}
        return 429, {"error": {**error, "message": "The usage limit has been reached"}}
    if asked.is_gemini:
        return _gemini_refusal(verb, argument)
    if verb == "credit":
        kind = "insufficient_quota"
        return 429, {"error": {"message": CREDIT, "type": kind, "param": None, "code": kind}}
    status = int(argument)
    code, text = ERRORS[status]
    return status, {"error": {"message": text, "type": code, "param": None, "code": code}}


def _gemini_refusal(verb: str, argument: str) -> tuple[int, dict[str, Any]]:
    if verb in ("credit", "limit"):
        metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
        quota = "GenerateRequestsPerDayPerProjectPerModel-FreeTier"
        violation = {"quotaMetric": metric, "quotaId": quota, "quotaValue": "50"}
        failure = "type.googleapis.com/google.rpc.QuotaFailure"
        details = [{"@type": failure, "violations": [violation]}]
        error = {"code": 429, "message": CREDIT, "status": "RESOURCE_EXHAUSTED"}
        return 429, {"error": {**error, "details": details}}
    status = int(argument)
    names = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED"}
    error = {"code": status, "message": ERRORS[status][1]}
    return status, {"error": {**error, "status": names.get(status, "UNAVAILABLE")}}


# -- how each API says a text or a call of a tool

Call = tuple[str, dict[str, Any]] | None


def chat_events(text: str, call: Call) -> Iterator[object]:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "fake"}
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    if call:
        function = {"name": call[0], "arguments": json.dumps(call[1])}
        use = {"index": 0, "id": _id("call"), "type": "function", "function": function}
        deltas.append({"tool_calls": [use]})
    elif text:
        deltas.append({"content": text})
    for delta in deltas:
        yield {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]}
    stop = "tool_calls" if call else "stop"
    yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": stop}]}
    used = _used(text, call)
    usage = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
    yield {**head, "choices": [], "usage": usage}
    yield "[DONE]"


def responses_events(text: str, call: Call) -> Iterator[object]:
    items: list[dict[str, Any]] = []
    if call:
        function = {"name": call[0], "arguments": json.dumps(call[1]), "status": "completed"}
        items.append({"type": "function_call", "id": "fc_1", "call_id": _id("call"), **function})
    elif text:
        content = [{"type": "output_text", "text": text, "annotations": []}]
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed"}
        items.append({**message, "content": content})
    used = _used(text, call)
    usage = {"input_tokens": used[0], "output_tokens": used[1], "total_tokens": sum(used)}
    usage |= {"input_tokens_details": {"cached_tokens": 0}}  # type: ignore[dict-item]
    usage |= {"output_tokens_details": {"reasoning_tokens": 0}}  # type: ignore[dict-item]
    whole = {"id": _id("resp"), "object": "response", "created_at": 1, "model": "fake"}
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    yield {"type": "response.created", "response": begun}
    for number, item in enumerate(items):
        added = {**item, "content": []} if "content" in item else item
        yield {"type": "response.output_item.added", "output_index": number, "item": added}
        if "content" in item:
            place = {"item_id": "msg_1", "output_index": number, "content_index": 0}
            yield {"type": "response.output_text.delta", **place, "delta": text}
        yield {"type": "response.output_item.done", "output_index": number, "item": item}
    ended = {**whole, "status": "completed", "output": items, "usage": usage}
    yield {"type": "response.completed", "response": ended}


def gemini_events(text: str, call: Call) -> Iterator[object]:
    used = _used(text, call)
    usage = {"promptTokenCount": used[0], "candidatesTokenCount": used[1]}
    more = {"usageMetadata": {**usage, "totalTokenCount": sum(used)}, "modelVersion": "fake"}
    part = {"functionCall": {"name": call[0], "args": call[1]}} if call else {"text": text}
    for parts, stop in (([part], {}), ([{"text": ""}], {"finishReason": "STOP"})):
        content = {"role": "model", "parts": parts}
        yield {"candidates": [{"content": content, "index": 0, **stop}], **more}


def _used(text: str, call: Call) -> tuple[int, int]:
    return TOKENS if text or call else (0, 0)


def _id(prefix: str) -> str:
    return f"{prefix}_{uuid.uuid4().hex[:16]}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""

    def plain(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        self.plain(404, {"error": {"message": "not found", "type": "not_found_error"}})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        path = self.path.split("?")[0]
        if path.endswith(":countTokens"):
            self.plain(200, {"totalTokens": TOKENS[0]})
            return
        try:
            asked = Asked(path, json.loads(raw))
        except (ValueError, UnicodeDecodeError):
            self.plain(415, {"error": {"message": "no JSON"}})
            return
        by = str(self.headers.get("user-agent"))
        JOURNAL.note({"by": by, "tools": sorted(asked.tools), "results": asked.results})

        verb, argument = asked.step()
        if verb in ("status", "credit", "limit"):
            self.plain(*refusal(asked, verb, argument))
            return
        if verb == "hang":
            time.sleep(float(argument))
        self.answer(asked, verb, argument)

    def answer(self, asked: Asked, verb: str, argument: str) -> None:
        call = None
        text = argument if verb == "text" else ""
        if verb in ("bash", "write"):
            call = asked.call(verb, argument)
            # Who offers no such tool asks for a title, or may not use it.
            text = "" if call else "A title."
        if asked.is_gemini:
            events = list(gemini_events(text, call))
        elif asked.is_responses:
            events = list(responses_events(text, call))
        else:
            events = list(chat_events(text, call))
        if asked.is_streamed:
            self.stream(events)
        elif asked.is_gemini:
            self.plain(200, events[0])
        else:
            self.plain(200, whole_chat(text, call))

    def stream(self, events: list[object]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events:
            data = event if isinstance(event, str) else json.dumps(event)
            line = f"data: {data}\n\n"
            if isinstance(event, dict) and str(event.get("type", "")).startswith("response."):
                line = f"event: {event['type']}\n{line}"
            raw = line.encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


def whole_chat(text: str, call: Call) -> dict[str, Any]:
    """A completion that is not streamed."""
    used = _used(text, call)
    usage = {"prompt_tokens": used[0], "completion_tokens": used[1], "total_tokens": sum(used)}
    message: dict[str, Any] = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "fake"}
    return {**head, "choices": [choice], "usage": usage}


class Journal:
    """The file of the requests."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._lock = threading.Lock()

    def note(self, row: Mapping[str, Any]) -> None:
        if self._path is None:
            return
        with self._lock, open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


JOURNAL = Journal(sys.argv[2] if len(sys.argv) > 2 else None)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away is none."""


def main() -> None:
    server = Server(("127.0.0.1", int(sys.argv[1])), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
