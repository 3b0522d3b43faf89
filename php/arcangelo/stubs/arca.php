<?php

// The classes and functions of mkd's PHP workers, for editors and static checks. Never
// load this file. php/arcangelo/tests/make-stubs.php generates it.

namespace {

    /**
     * What a userspace script knows of its request. Its name for scripts is arca.
     */
    final class arca
    {
        /** 8 bytes, another for each request. */
        public static string $guid;

        /** The address of the client, such as 192.0.2.7 or 2001:db8::7. */
        public static string $client_ip;

        public static int $client_port;

        /** 16 bytes that name the session; zeros: none. It identifies; it is no credential. */
        public static string $token;

        /** The bytes of the message. Empty in on_http: see Request::body(). */
        public static string $request;

        /** Writes a line to mkd's log. */
        public static function log(mixed $message): void
        {
        }
    }
}

namespace arca {

    /** An HTTP request, the argument of on_http. */
    final class Request
    {
        /** The path, percent-encoded as in the URL: '/a%20b'. */
        public readonly string $path;

        public readonly string $method;

        /** Path and query: '/search?q=tea', without a prefix that the route strips. */
        public readonly string $target;

        /** @var array<string, list<string>> the header, by name, in the order of names */
        public readonly array $headers;

        /** @var array<mixed> like $_GET */
        public readonly array $query;

        /** @var array<mixed> like $_COOKIE */
        public readonly array $cookies;

        /** @var array<mixed> like $_POST; also for PUT, PATCH and DELETE */
        public readonly array $form;

        /** @var array<mixed> an Upload for each file, nested like the names of the fields */
        public readonly array $files;

        /** @var array<string, mixed> like $_SERVER */
        public readonly array $server;

        /** 'http' or 'https'; a Megaki session counts as https. */
        public readonly string $scheme;

        /** The host that the client asked for, with a port that isn't the scheme's own. */
        public readonly string $host;

        /** Such as 'HTTP/1.1'. */
        public readonly string $protocol;

        public readonly string $clientIp;

        public readonly int $clientPort;

        /** The 16 bytes of the Megaki session; null on other listeners. It identifies; it is no credential. */
        public readonly ?string $session;

        /** @param string|resource $body */
        public function __construct(
            string $method = 'GET',
            string $target = '/',
            array $headers = [],
            array $query = [],
            array $cookies = [],
            array $form = [],
            array $files = [],
            mixed $body = '',
            array $server = [],
            string $scheme = 'http',
            string $host = '',
            string $protocol = 'HTTP/1.1',
            string $clientIp = '0.0.0.0',
            int $clientPort = 0,
            ?string $session = null,
        ) {
        }

        /** Returns the URL. */
        public function url(): string
        {
        }

        /** Returns a field of the header, its values joined by a comma; null: there is none. Case doesn't matter. */
        public function header(string $name): ?string
        {
        }

        /** Returns the body. It is empty for a form with files, like php://input elsewhere. Read a large body from bodyStream(). */
        public function body(): string
        {
        }

        /**
         * Returns the body as a stream, at its beginning. A body over 256 KiB is in a file, not in memory.
         *
         * @return resource
         */
        public function bodyStream()
        {
        }

        /**
         * Decodes the body as JSON; objects become arrays.
         *
         * @throws \JsonException if it isn't JSON
         */
        public function json(): mixed
        {
        }
    }

    /**
     * A response to an HTTP request.
     *
     *     return (new arca\Response('tea'))->header('X-Kind', 'green')->cookie('seen', '1');
     */
    final class Response
    {
        /**
         * @param string|iterable<string>|resource      $body    the parts of a generator are sent as they come
         * @param array<string, string|int|list<string>> $headers
         */
        public function __construct(mixed $body = '', int $status = 200, array $headers = [])
        {
        }

        public static function html(string $html, int $status = 200): self
        {
        }

        public static function text(string $text, int $status = 200): self
        {
        }

        /** @throws \JsonException if the data can't be encoded */
        public static function json(mixed $data, int $status = 200): self
        {
        }

        public static function redirect(string $to, int $status = 302): self
        {
        }

        /**
         * Makes a response with a file. Browsers save it under $name, if there is one. A
         * client gets the range that it asks for, and 304 for a file that it has.
         *
         * @throws \RuntimeException if it can't be read
         */
        public static function file(string $path, string $type = 'application/octet-stream', ?string $name = null): self
        {
        }

        /**
         * Makes a response that is sent while it is produced.
         *
         * @param iterable<string> $parts
         */
        public static function stream(iterable $parts, string $type = 'text/plain; charset=UTF-8'): self
        {
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
        }

        /** @param int $status 200 to 599; 103: the fields are sent as an early hint, and then a 200 */
        public function status(int $status): self
        {
        }

        /**
         * Sets a field of the header, and replaces its values. Fields that concern the
         * connection have no effect.
         *
         * @param string|int|list<string> $value
         */
        public function header(string $name, array|string|int $value): self
        {
        }

        /** Removes a field of the header. */
        public function removeHeader(string $name): self
        {
        }

        /** Adds a value to a field of the header. */
        public function addHeader(string $name, string $value): self
        {
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
        }

        public function getStatus(): int
        {
        }

        /** @return array<string, list<string>> fields by name */
        public function getHeaders(): array
        {
        }

        /** Returns the values of a field, joined by a comma; null: there are none. Case doesn't matter. */
        public function getHeader(string $name): ?string
        {
        }

        /** @return string|iterable<string>|resource */
        public function getBody(): mixed
        {
        }
    }

    /** A file of a form. It is removed after the request, unless it was moved. */
    final class Upload
    {
        /** The name without folders, as the client gave it. It can be anything. */
        public readonly string $name;

        /** The name as the client gave it. */
        public readonly string $fullPath;

        /** The media type, as the client gave it. */
        public readonly string $type;

        /** The path of the file; '' if there is an error. */
        public readonly string $path;

        /** UPLOAD_ERR_OK or another UPLOAD_ERR_ constant of PHP. */
        public readonly int $error;

        /** In bytes. */
        public readonly int $size;

        public function __construct(
            string $name,
            string $fullPath = '',
            string $type = '',
            string $path = '',
            int $error = \arca\UPLOAD_ERR_OK,
            int $size = 0,
        ) {
        }

        /** Whether there is a file. */
        public function isOk(): bool
        {
        }

        /**
         * Moves the file to a path, and replaces a file there, as move_uploaded_file does
         * elsewhere.
         *
         * @throws \RuntimeException if there is no file, or it can't be moved
         */
        public function moveTo(string $path): void
        {
        }

        /** Returns the bytes of the file. */
        public function contents(): string
        {
        }
    }

    /**
     * Makes an on_http from a PSR-15 handler, or from any callable that takes a PSR-7
     * request and returns a PSR-7 response. The application brings the PSR-17
     * factories; if one object is all three of them, pass it once.
     *
     *     'on_http' => arca\psr($app, new Nyholm\Psr7\Factory\Psr17Factory()),
     *
     * The request's attribute arca\Request::class has the arca\Request.
     *
     * @return \Closure(Request): Response
     */
    function psr(
        \Psr\Http\Server\RequestHandlerInterface|callable $handler,
        \Psr\Http\Message\ServerRequestFactoryInterface $requests,
        ?\Psr\Http\Message\StreamFactoryInterface $streams = null,
        ?\Psr\Http\Message\UploadedFileFactoryInterface $uploads = null,
    ): \Closure {
    }

    /**
     * Makes an on_http from a kernel of Symfony, or of what is built on it, or from an
     * application of Laravel.
     *
     *     'on_http' => arca\symfony(new App\Kernel('prod', false)),
     *     'on_http' => arca\symfony(require __DIR__ . '/bootstrap/app.php'),
     *
     * It is booted now. Its terminate() is called after the client has the response; then
     * Symfony's services are reset (the tag kernel.reset), and Laravel's objects are put
     * back as they were when it had booted. Exceptions that become a response with a status
     * of 500 or more are logged with their trace. The request's attribute
     * arca\Request::class has the arca\Request.
     *
     * @return \Closure(Request): Response
     */
    function symfony(
        \Symfony\Component\HttpKernel\HttpKernelInterface|\Illuminate\Contracts\Foundation\Application|\Illuminate\Contracts\Http\Kernel $kernel,
    ): \Closure {
    }

    /**
     * Sends the response, and lets the handler go on: for mails, logs and the like, which
     * no client should wait for.
     *
     *     arca\finish(arca\Response::text('thank you'));
     *     $mailer->send($mail);
     *
     * $response is what on_http or on_handle could return: without it, what was printed is
     * the response. The worker is busy until the handler returns; it has the backend's
     * timeout for that, from here on. What the handler prints or returns after this goes to
     * the log. The session is stored and closed.
     *
     * @throws \LogicException if the response was sent already, or there is no call
     */
    function finish(mixed $response = null): void
    {
    }

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
    function stream(iterable $events): \arca\Response
    {
    }
}
