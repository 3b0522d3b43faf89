<?php

declare(strict_types=1);

namespace arca;

use function is_array;
use function is_iterable;
use function is_resource;
use function is_scalar;
use function is_string;
use function strlen;
use function strtolower;

/**
 * A response to an HTTP request.
 *
 *     return (new arca\Response('tea'))->header('X-Kind', 'green')->cookie('seen', '1');
 */
final class Response
{
    /** @var array<string, array{string, list<string>}> fields by name in lower case: name and values */
    private array $fields = [];
    /** Whether the body is a file, of which a client can get a range. */
    private bool $isFile = false;

    /**
     * @param string|iterable<string>|resource      $body    the parts of a generator are sent as they come
     * @param array<string, string|int|list<string>> $headers
     */
    public function __construct(private mixed $body = '', private int $status = 200, array $headers = [])
    {
        if (!is_string($body) && !is_iterable($body) && !is_resource($body)) {
            $this->body = is_scalar($body) || $body instanceof \Stringable
                ? (string) $body
                : throw new \TypeError('a body is a string, an iterable or a resource, not ' . get_debug_type($body));
        }
        if ($status !== 200) {
            $this->status($status);
        }
        foreach ($headers as $name => $value) {
            $this->header((string) $name, $value); // a name of digits is an int in an array
        }
    }

    public static function html(string $html, int $status = 200): self
    {
        return new self($html, $status, ['Content-Type' => 'text/html; charset=UTF-8']);
    }

    public static function text(string $text, int $status = 200): self
    {
        return new self($text, $status, ['Content-Type' => 'text/plain; charset=UTF-8']);
    }

    /** @throws \JsonException if the data can't be encoded */
    public static function json(mixed $data, int $status = 200): self
    {
        $text = json_encode($data, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE);
        return new self($text, $status, ['Content-Type' => 'application/json']);
    }

    public static function redirect(string $to, int $status = 302): self
    {
        return new self('', $status, ['Location' => $to]);
    }

    /**
     * Makes a response with a file. Browsers save it under $name, if there is one. A
     * client gets the range that it asks for, and 304 for a file that it has.
     *
     * @throws \RuntimeException if it can't be read
     */
    public static function file(string $path, string $type = 'application/octet-stream', ?string $name = null): self
    {
        $file = is_file($path) ? @fopen($path, 'rb') : false;
        if ($file === false) {
            throw new \RuntimeException("can't read the file $path");
        }
        $response = new self($file, 200, ['Content-Type' => $type]);
        $response->isFile = true;
        if ($name !== null) { // RFC 6266, section 4.3
            $response->header('Content-Disposition', 'attachment; filename="'
                . preg_replace('/[^ !#-\[\]-~]/', '_', $name) . "\"; filename*=UTF-8''" . rawurlencode($name));
        }
        return $response;
    }

    /**
     * Makes a response that is sent while it is produced.
     *
     * @param iterable<string> $parts
     */
    public static function stream(iterable $parts, string $type = 'text/plain; charset=UTF-8'): self
    {
        return new self($parts, 200, ['Content-Type' => $type]);
    }

    /**
     * Sends an early hint (status 103, RFC 8297): fields that browsers act on while
     * the response is produced.
     *
     *     arca\Response::earlyHints(['Link' => '</a.css>; rel=preload; as=style']);
     *
     * HTTP/1.0 clients and Megaki sessions don't get it. It has no effect after the
     * response has begun, or for raw messages.
     *
     * @param array<string, string|int|list<string>> $headers
     */
    public static function earlyHints(array $headers): void
    {
        ResponseWriter::hint(new self('', 103, $headers));
    }

    /** @param int $status 200 to 599; 103: the fields are sent as an early hint, and then a 200 */
    public function status(int $status): self
    {
        if (($status < 200 || $status > 599) && $status !== 103) {
            throw new \InvalidArgumentException("a response can't have the status $status");
        }
        $this->status = $status;
        return $this;
    }

    /**
     * Sets a field of the header, and replaces its values. Fields that concern the
     * connection have no effect.
     *
     * @param string|int|list<string> $value
     */
    public function header(string $name, string|int|array $value): self
    {
        unset($this->fields[strtolower($name)]);
        foreach ((array) $value as $one) {
            $this->addHeader($name, (string) $one);
        }
        return $this;
    }

    /** Removes a field of the header. */
    public function removeHeader(string $name): self
    {
        unset($this->fields[strtolower($name)]);
        return $this;
    }

    /** Adds a value to a field of the header. */
    public function addHeader(string $name, string $value): self
    {
        if (!preg_match('/^[-!#$%&\'*+.^_`|~0-9a-zA-Z]+$/D', $name)) {
            throw new \InvalidArgumentException("'$name' isn't the name of a header field");
        }
        if (preg_match('/[\x00-\x08\x0a-\x1f\x7f]/', $value)) {
            throw new \InvalidArgumentException("the field $name has a control character");
        }
        $this->fields[strtolower($name)][0] ??= $name;
        $this->fields[strtolower($name)][1][] = trim($value, " \t");
        return $this;
    }

    /**
     * Sets a cookie. By default scripts can't read it, and other sites don't send it.
     *
     * @param int    $expires  a Unix time; 0: when the browser is closed. A time in the past deletes the cookie
     * @param string $sameSite 'Lax', 'Strict', 'None' or ''
     */
    public function cookie(
        string $name,
        string $value,
        int $expires = 0,
        string $path = '/',
        string $domain = '',
        bool $secure = false,
        bool $httpOnly = true,
        string $sameSite = 'Lax',
    ): self {
        return $this->addHeader('Set-Cookie', Cookies::make($name, $value, $expires, $path, $domain, $secure, $httpOnly, $sameSite));
    }

    public function getStatus(): int
    {
        return $this->status;
    }

    /** @return array<string, list<string>> fields by name */
    public function getHeaders(): array
    {
        return array_column($this->fields, 1, 0);
    }

    /** Returns the values of a field, joined by a comma; null: there are none. Case doesn't matter. */
    public function getHeader(string $name): ?string
    {
        $field = $this->fields[strtolower($name)] ?? null;
        return $field === null ? null : implode(', ', $field[1]);
    }

    /**
     * Whether it sets a cookie.
     *
     * @internal
     */
    public function hasCookie(string $name): bool
    {
        foreach ($this->fields['set-cookie'][1] ?? [] as $cookie) {
            if (str_starts_with($cookie, "$name=")) {
                return true;
            }
        }
        return false;
    }

    /**
     * Returns the Content-Length; -1: there is none.
     *
     * @internal
     */
    public function getLength(): int
    {
        $values = $this->fields['content-length'][1] ?? [];
        return count($values) === 1 && preg_match('/^\d{1,18}$/D', $values[0]) ? (int) $values[0] : -1;
    }

    /**
     * Whether Response::file has made it.
     *
     * @internal
     */
    public function isFile(): bool
    {
        return $this->isFile;
    }

    /** @return string|iterable<string>|resource */
    public function getBody(): mixed
    {
        return $this->body;
    }
}
