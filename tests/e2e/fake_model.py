"""The model that the real claude talks to: it does what the prompt says, on loopback, for nothing.

It speaks as much of Anthropic's Messages API as claude needs. The last directive-bearing text of
the user is a list of steps; the answer to the Nth result of a tool is the next one of them:

    [[text WORDS]]       a text, and the end of the turn
    [[bash COMMAND]]     a call of claude's own Bash
    [[bg COMMAND]]       the same in the background
    [[empty]]            the end of the turn, without text and tokens
    [[status N]]         an error as the real API words it
    [[credit]]           the refusal of an account that is out of credits
    [[limit SECONDS]]    the refusal of a subscription whose limit resets in so many seconds

Called as a program, with a port, it says that it is ready, and serves until it is ended.
"""

from __future__ import annotations

import json
import re
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STEP = re.compile(r"\[\[(text|bash|bg|empty|status|credit|limit)\b ?(.*?)\]\]", re.DOTALL)
# What every answer costs, in tokens in and out.
TOKENS = (1200, 34)
ERRORS = {
    401: ("authentication_error", "invalid x-api-key"),
    429: ("rate_limit_error", "Number of request tokens has exceeded your per-minute rate limit"),
    529: ("overloaded_error", "Overloaded"),
}
CREDIT = "Your credit balance is too low to access the Anthropic API."
LIMIT = "This request would exceed your account's rate limit. Please try again later."


def texts_of(content: object) -> list[str]:
    if isinstance(content, str):
        return [content]
    parts = content if isinstance(content, list) else []
    return [str(part.get("text", "")) for part in parts if part.get("type") == "text"]


def step_of(messages: list[dict[str, Any]]) -> tuple[str, str]:
    """The directive that this request is to be answered by."""
    results = 0
    for message in reversed(messages):
        content = message.get("content")
        if isinstance(content, list):
            results += any(part.get("type") == "tool_result" for part in content)
        asked = [text for text in texts_of(content) if STEP.search(text)]
        if message.get("role") == "user" and asked:
            steps = STEP.findall(asked[-1])
            return steps[results] if results < len(steps) else ("text", "Done.")
    return "text", "ok"


def refusal(verb: str, argument: str) -> tuple[int, dict[str, str], tuple[str, str]] | None:
    """Status, headers, and type and message of an error; None if it is none."""
    if verb == "credit":
        return 400, {}, ("invalid_request_error", CREDIT)
    if verb == "status":
        status = int(argument)
        return status, {}, ERRORS[status]
    if verb != "limit":
        return None
    at = str(int(time.time()) + int(argument))
    headers = {
        "anthropic-ratelimit-unified-status": "rejected",
        "anthropic-ratelimit-unified-reset": at,
        "anthropic-ratelimit-unified-representative-claim": "five_hour",
        "anthropic-ratelimit-unified-overage-status": "rejected",
        "anthropic-ratelimit-unified-overage-disabled-reason": "org_level_disabled",
        "anthropic-ratelimit-unified-5h-status": "rejected",
        "anthropic-ratelimit-unified-5h-reset": at,
        "anthropic-ratelimit-unified-5h-utilization": "1.0",
        "retry-after": argument,
        "x-should-retry": "true",
    }
    return 429, headers, ("rate_limit_error", LIMIT)


def block_of(verb: str, argument: str, has_tools: bool) -> dict[str, Any] | None:
    """What the model says: a text, a call of a tool, or nothing."""
    if verb == "empty":
        return None
    if verb in ("bash", "bg") and has_tools:
        given = {"command": argument, "description": "as asked"}
        more = {"run_in_background": True} if verb == "bg" else {}
        return {
            "type": "tool_use",
            "id": "toolu_" + uuid.uuid4().hex[:20],
            "name": "Bash",
            "input": {**given, **more},
        }
    return {"type": "text", "text": argument if verb == "text" else "A title."}


def events_of(message: Mapping[str, Any], block: Mapping[str, Any] | None) -> Iterator[dict]:
    """The message as a stream tells it."""
    yield {"type": "message_start", "message": {**message, "content": [], "stop_reason": None}}
    if block is not None:
        is_call = block["type"] == "tool_use"
        empty = {**block, "input": {}} if is_call else {**block, "text": ""}
        delta = {"type": "text_delta", "text": block.get("text", "")}
        if is_call:
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
        yield {"type": "content_block_start", "index": 0, "content_block": empty}
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
        yield {"type": "content_block_stop", "index": 0}
    stop = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    yield {"type": "message_delta", "delta": stop, "usage": message["usage"]}
    yield {"type": "message_stop"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""

    def plain(self, status: int, body: object, headers: Mapping[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        known = {"content-type": "application/json", "content-length": str(len(data))}
        for name, value in {**known, **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def do_HEAD(self) -> None:
        self.plain(200, {})

    def do_GET(self) -> None:
        self.plain(404, {"type": "error", "error": {"type": "not_found_error", "message": "no"}})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path.split("?")[0].endswith("count_tokens"):
            self.plain(200, {"input_tokens": TOKENS[0]})
            return
        body = json.loads(raw)
        verb, argument = step_of(body["messages"])
        refused = refusal(verb, argument)
        if refused is not None:
            status, headers, (kind, text) = refused
            error = {"type": "error", "error": {"type": kind, "message": text}}
            self.plain(status, {**error, "request_id": "req_fake"}, headers)
            return
        self.answer(body, block_of(verb, argument, bool(body.get("tools"))))

    def answer(self, body: Mapping[str, Any], block: dict[str, Any] | None) -> None:
        tokens_in, tokens_out = TOKENS if block else (0, 0)
        message = {
            "id": "msg_" + uuid.uuid4().hex[:20],
            "type": "message",
            "role": "assistant",
            "model": body.get("model", ""),
            "content": [block] if block else [],
            "stop_reason": "tool_use" if block and block["type"] == "tool_use" else "end_turn",
            "stop_sequence": None,
            "usage": {
                "input_tokens": tokens_in,
                "output_tokens": tokens_out,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
            },
        }
        if not body.get("stream"):
            self.plain(200, message)
            return
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in events_of(message, block):
            data = f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
