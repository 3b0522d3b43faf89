<?php

declare(strict_types=1);

namespace arca;

/** An HTTP request, as on_http gets it. */
final class Request
{
    /** The target's path, percent-encoded as in the URL: '/a%20b'. */
    public readonly string $path;

    /** @param string|resource $body */
    public function __construct(
        public readonly string $method = 'GET',
        /** Path and query: '/search?q=tea'. If a route strips a prefix, it is without it. */
        public readonly string $target = '/',
        /** @var array<string, list<string>> the header, by name, in the order of names */
        public readonly array $headers = [],
        /** @var array<mixed> as $_GET */
        public readonly array $query = [],
        /** @var array<mixed> as $_COOKIE */
        public readonly array $cookies = [],
        /** @var array<mixed> as $_POST, for PUT, PATCH and DELETE too */
        public readonly array $form = [],
        /** @var array<mixed> an Upload for each file, nested as the fields' names say */
        public readonly array $files = [],
        private readonly mixed $body = '',
        /** @var array<string, mixed> as $_SERVER */
        public readonly array $server = [],
        /** 'http' or 'https'; a Megaki session counts as https. */
        public readonly string $scheme = 'http',
        /** As the client asked for it, with a port that isn't the scheme's own. */
        public readonly string $host = '',
        /** Such as 'HTTP/1.1'. */
        public readonly string $protocol = 'HTTP/1.1',
        public readonly string $clientIp = '0.0.0.0',
        public readonly int $clientPort = 0,
        /** The Megaki session's 16 bytes; null on other doors. It identifies; it is no credential. */
        public readonly ?string $session = null,
    ) {
        $this->path = explode('?', $target, 2)[0];
    }

    /** The URL. */
    public function url(): string
    {
        return $this->host === '' ? $this->target : "$this->scheme://$this->host$this->target";
    }

    /** A field of the header, its values joined by a comma; null: there is none. Case doesn't matter. */
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

    /** The body. That of a form with files is empty, as php://input is elsewhere. A large one is better read from bodyStream(). */
    public function body(): string
    {
        if (is_string($this->body)) {
            return $this->body;
        }
        rewind($this->body);
        return (string) stream_get_contents($this->body);
    }

    /**
     * The body as a stream, at its beginning. A body over 256 KiB is in a file, not in memory.
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
     * The body's JSON; objects are arrays.
     *
     * @throws \JsonException if it is none
     */
    public function json(): mixed
    {
        return json_decode($this->body(), true, 512, JSON_THROW_ON_ERROR);
    }
}
