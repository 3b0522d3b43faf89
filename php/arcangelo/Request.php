<?php

declare(strict_types=1);

namespace arca;

use function strpos;
use function substr;

/** An HTTP request, the argument of on_http. */
final class Request
{
    /** The path, percent-encoded as in the URL: '/a%20b'. */
    public readonly string $path;

    /** @param string|resource $body */
    public function __construct(
        public readonly string $method = 'GET',
        /** Path and query: '/search?q=tea', without a prefix that the route strips. */
        public readonly string $target = '/',
        /** @var array<string, list<string>> the header, by name, in the order of names */
        public readonly array $headers = [],
        /** @var array<mixed> like $_GET */
        public readonly array $query = [],
        /** @var array<mixed> like $_COOKIE */
        public readonly array $cookies = [],
        /** @var array<mixed> like $_POST; also for PUT, PATCH and DELETE */
        public readonly array $form = [],
        /** @var array<mixed> an Upload for each file, nested like the names of the fields */
        public readonly array $files = [],
        private readonly mixed $body = '',
        /** @var array<string, mixed> like $_SERVER */
        public readonly array $server = [],
        /** 'http' or 'https'; a Megaki session counts as https. */
        public readonly string $scheme = 'http',
        /** The host that the client asked for, with a port that isn't the scheme's own. */
        public readonly string $host = '',
        /** Such as 'HTTP/1.1'. */
        public readonly string $protocol = 'HTTP/1.1',
        public readonly string $clientIp = '0.0.0.0',
        public readonly int $clientPort = 0,
        /** The 16 bytes of the Megaki session; null on other listeners. It identifies; it is no credential. */
        public readonly ?string $session = null,
    ) {
        $mark = strpos($target, '?');
        $this->path = $mark === false ? $target : substr($target, 0, $mark);
    }

    /** Returns the URL. */
    public function url(): string
    {
        return $this->host === '' ? $this->target : "$this->scheme://$this->host$this->target";
    }

    /** Returns a field of the header, its values joined by a comma; null: there is none. Case doesn't matter. */
    public function header(string $name): ?string
    {
        if (isset($this->headers[$name])) {
            return implode(', ', $this->headers[$name]);
        }
        foreach ($this->headers as $field => $values) {
            if (strcasecmp((string) $field, $name) === 0) {
                return implode(', ', $values);
            }
        }
        return null;
    }

    /** Returns the body. It is empty for a form with files, like php://input elsewhere. Read a large body from bodyStream(). */
    public function body(): string
    {
        if (is_string($this->body)) {
            return $this->body;
        }
        rewind($this->body);
        return (string) stream_get_contents($this->body);
    }

    /**
     * Returns the body as a stream, at its beginning. A body over 256 KiB is in a file, not in memory.
     *
     * @return resource
     */
    public function bodyStream()
    {
        if (!is_string($this->body)) {
            rewind($this->body);
            return $this->body;
        }
        $stream = fopen('php://memory', 'w+b');
        fwrite($stream, $this->body);
        rewind($stream);
        return $stream;
    }

    /**
     * Decodes the body as JSON; objects become arrays.
     *
     * @throws \JsonException if it isn't JSON
     */
    public function json(): mixed
    {
        return json_decode($this->body(), true, 512, JSON_THROW_ON_ERROR);
    }
}
