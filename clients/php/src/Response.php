<?php

declare(strict_types=1);

namespace Megaki;

use Megaki\Exception\ProtocolError;

/** An HTTP response. Its methods are named as in PSR-7; the body is a string. */
final class Response
{
    private const MAX_FIELDS = 256;

    /** @param list<array{string, string}> $fields */
    private function __construct(
        private int $status,
        private string $reason,
        private array $fields,
        private string $body,
    ) {
    }

    public function getStatusCode(): int
    {
        return $this->status;
    }

    public function getReasonPhrase(): string
    {
        return $this->reason;
    }

    /**
     * Returns the values of all fields of a name.
     *
     * @return list<string>
     */
    public function getHeader(string $name): array
    {
        $same = array_filter($this->fields, static fn (array $f): bool => strcasecmp($f[0], $name) === 0);
        return array_values(array_map(static fn (array $f): string => $f[1], $same));
    }

    /** Returns the values of all fields of a name, separated by commas. */
    public function getHeaderLine(string $name): string
    {
        return implode(', ', $this->getHeader($name));
    }

    /** @return array<string, list<string>> */
    public function getHeaders(): array
    {
        $headers = [];
        foreach ($this->fields as [$name, $value]) {
            $headers[$name][] = $value;
        }
        return $headers;
    }

    public function getBody(): string
    {
        return $this->body;
    }

    /**
     * Reads a whole response. The length of a message isn't authenticated, so the response's
     * own framing must agree with it.
     *
     * @internal
     */
    public static function parse(string $message, string $method): self
    {
        $end = strpos($message, "\r\n\r\n");
        if ($end === false) {
            throw self::wrong("its head doesn't end");
        }
        $lines = explode("\r\n", substr($message, 0, $end));
        foreach ($lines as $line) {
            if (preg_match('/[^\t\x20-\x7E\x80-\xFF]/', $line)) {
                throw self::wrong("its head has a character that isn't allowed");
            }
        }
        if (!preg_match('/^HTTP\/1\.[01] ([2-5][0-9][0-9])(?: (.*))?$/D', array_shift($lines), $status)) {
            throw self::wrong("its first line is malformed, or its status isn't from 200 to 599");
        }
        if (count($lines) > self::MAX_FIELDS) {
            throw self::wrong('it has more than ' . self::MAX_FIELDS . ' header fields');
        }
        $fields = [];
        foreach ($lines as $line) {
            [$name, $value] = explode(':', $line, 2) + [1 => null];
            if ($value === null || !Request::isToken($name)) {
                throw self::wrong('a header field is malformed');
            }
            $fields[] = [$name, trim($value, " \t")];
        }
        $response = new self((int) $status[1], $status[2] ?? '', $fields, substr($message, $end + 4));
        $response->checkBody($method);
        return $response;
    }

    private function checkBody(string $method): void
    {
        $lengths = $this->getHeader('Content-Length');
        if (count($lengths) > 1 || $this->getHeader('Transfer-Encoding') !== []) {
            throw self::wrong("it has two Content-Length fields, or a Transfer-Encoding, which a message can't have");
        }
        $expected = 0;
        if ($method !== 'HEAD' && !in_array($this->status, [204, 304], true) && $lengths !== []) {
            $expected = preg_match('/^[0-9]{1,10}$/D', $lengths[0]) ? (int) $lengths[0] : -1;
        }
        if (strlen($this->body) !== $expected) {
            throw self::wrong("its body doesn't have the length of its Content-Length");
        }
    }

    private static function wrong(string $what): ProtocolError
    {
        return (new ProtocolError("the response isn't a right HTTP response: $what"))->sent();
    }
}
