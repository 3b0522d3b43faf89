<?php

// A chat: server-sent events and long polling from workers. Messages are lines of a
// file, which all workers see.

declare(strict_types=1);

use arca\Request;
use arca\Response;

define('CHAT', getenv('CHAT_FILE') ?: sys_get_temp_dir() . '/sse-chat-' . posix_geteuid());

/** Returns the messages after the first $seen. */
function messages(int $seen): array
{
    $lines = is_file(CHAT) ? file(CHAT, FILE_IGNORE_NEW_LINES) : [];
    return array_slice($lines, $seen, null, true);
}

/** Yields messages as they come, and null twice a second: a sign of life. */
function events(int $seen): Generator
{
    for ($waits = 1;; $waits++) {
        foreach (messages($seen) as $i => $message) {
            $seen = $i + 1;
            yield ['id' => $seen, 'data' => ['text' => $message]];
        }
        if ($waits % 5 === 0) {
            yield null;
        }
        usleep(100_000);
        clearstatcache();
    }
}

/** Waits for messages for ten seconds at most. */
function poll(int $seen): Response
{
    for ($end = microtime(true) + 10; !($new = messages($seen)) && microtime(true) < $end; clearstatcache()) {
        usleep(100_000);
    }
    return Response::json(array_values($new));
}

$ARCANGELO_USERSPACE = [
    'on_http' => function (Request $r) {
        switch ("$r->method $r->path") {
            case 'GET /':
                return Response::html(file_get_contents(__DIR__ . '/page.html'));
            case 'POST /say':
                $text = $r->form['text'] ?? null;
                if (!is_string($text)) { // the client decides what it is
                    return Response::text("no text\n", 400);
                }
                file_put_contents(CHAT, strtr($text, "\r\n", '  ') . "\n", FILE_APPEND | LOCK_EX);
                return Response::redirect('/', 303);
            case 'GET /events': // a browser that connects again sends the last id that it has
                return arca\stream(events((int) ($r->header('Last-Event-ID') ?? $r->query['seen'] ?? 0)));
            case 'GET /poll':
                return poll((int) ($r->query['seen'] ?? 0));
        }
        return Response::text("none\n", 404);
    },
];
