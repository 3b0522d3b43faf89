<?php

declare(strict_types=1);

namespace arca;

/**
 * Makes a response of server-sent events, which an EventSource in a browser receives
 * as they come.
 *
 *     return arca\stream((function () {
 *         foreach (news() as $item) {
 *             yield ['event' => 'news', 'id' => $item->id, 'data' => $item];
 *         }
 *     })());
 *
 * An element is the data of an event: a string as it is, any other value as JSON. An
 * array with the key data can have event, id and retry (milliseconds) besides. null is
 * a sign of life: yield one at least once within the backend's timeout, and often
 * enough to notice that the client has left; the generator is ended then.
 *
 * The worker is occupied until the end.
 *
 * @param iterable<mixed> $events
 */
function stream(iterable $events): Response
{
    $parts = (static function () use ($events): iterable {
        yield ":\n\n"; // the header is sent now, and not with the first event
        foreach ($events as $event) {
            yield eventText($event);
        }
    })();
    return new Response($parts, 200, ['Content-Type' => 'text/event-stream', 'Cache-Control' => 'no-store']);
}

/** Returns an event as it is sent (HTML Living Standard, section 9.2.5). */
function eventText(mixed $event): string
{
    if ($event === null) {
        return ":\n\n";
    }
    if (!is_array($event) || !array_key_exists('data', $event)) {
        $event = ['data' => $event];
    }
    $data = is_string($event['data'])
        ? $event['data']
        : json_encode($event['data'], JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
    $text = '';
    foreach (['event', 'id', 'retry'] as $field) {
        if (isset($event[$field])) {
            $value = (string) $event[$field];
            if (strpbrk($value, "\r\n\0") !== false) {
                throw new \InvalidArgumentException("the $field of an event can't have a line end or a NUL");
            }
            $text .= "$field: $value\n";
        }
    }
    foreach (preg_split('/\r\n|\r|\n/', $data) as $line) {
        $text .= "data: $line\n";
    }
    return "$text\n";
}
