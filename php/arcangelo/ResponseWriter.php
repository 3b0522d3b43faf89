<?php

declare(strict_types=1);

namespace arca;

use function implode;
use function ini_get;
use function is_array;
use function is_resource;
use function pack;
use function strlen;

/**
 * Sends the response to an HTTP request: a HEAD, PARTs, and what END takes along.
 *
 * @internal
 */
final class ResponseWriter
{
    /** Bytes of a part of a file. */
    private const STEP = 262144;
    /** Limits of a response's header: bytes, and values. */
    private const MAX_HEADER = 65536;
    private const MAX_VALUES = 256;

    /** Whether the header isn't decided yet. */
    private static bool $open = false;
    /** Whether it is decided. */
    private static bool $decided = false;
    /** Whether the response has no body. */
    private static bool $bodiless = false;
    /** Whether nobody takes the rest of the response. */
    private static bool $abandoned = false;
    private static int $status = 200;
    /** Bytes of the body that are missing; less than 0: unknown. */
    private static int $left = -1;
    /** The frame of the header, until another frame takes it along. */
    private static string $head = '';
    /** Has the header, once on_http has returned. */
    private static ?Response $response = null;
    private static string $method = '';
    /** @var array<string, list<string>> the header of the request */
    private static array $fields = [];

    /** @param array<string, list<string>> $fields */
    public static function begin(string $method, array $fields): void
    {
        self::$method = $method;
        self::$fields = $fields;
        self::$open = true;
        self::$decided = false;
        self::$bodiless = $method === 'HEAD';
        self::$abandoned = false;
        self::$left = -1;
        self::$head = '';
    }

    /** Ends the response. Returns the frame that has to go before the next one. */
    public static function end(): string
    {
        $head = self::$head;
        self::$open = false;
        self::$decided = false;
        self::$head = '';
        self::$response = null;
        self::$fields = [];
        return $head;
    }

    /** Whether the header can still change. */
    public static function isOpen(): bool
    {
        return self::$open;
    }

    /** Whether the header is decided. */
    public static function isDecided(): bool
    {
        return self::$decided;
    }

    /** Whether nobody takes the rest of the response. */
    public static function isAbandoned(): bool
    {
        if (self::$decided && !self::$abandoned) {
            self::$abandoned = !Wire::isWanted();
        }
        return self::$abandoned;
    }

    /** Sends the fields of a response as an early hint. */
    public static function hint(Response $response): void
    {
        $fields = self::lines($response->getHeaders(), $values);
        if (self::$open && $values > 0) {
            self::check($fields, $values);
            Wire::send(Wire::HEAD, pack('nJ', 103, -1), $fields);
        }
    }

    /** Sends what the script has printed before there is a response, or after its header was sent. */
    public static function print(string $text, bool $flush): void
    {
        if ($text === '') {
            return;
        }
        if (self::$open) {
            self::head(self::$response ?? new Response('', HttpCall::status()), -1);
        }
        self::part($text, $flush);
    }

    /**
     * Sends a response, after what the script has printed. Returns the part of the
     * body that END takes along.
     */
    public static function send(Response $response): string
    {
        if (self::$open) {
            self::$response = $response;
        } elseif (!self::$abandoned && ($response->getStatus() !== self::$status || $response->getHeaders() !== [])) {
            Wire::send(Wire::LOG, Wire::WARNING, 'Warning: the status and the header of a response came too late: what was printed was sent before');
        }
        $body = $response->getBody();
        return match (true) {
            is_resource($body) => self::sendFile($response, $body),
            $body instanceof \Traversable => self::sendParts($response, self::iterator($body)),
            default => self::sendText($response, is_array($body) ? implode('', $body) : $body),
        };
    }

    private static function sendText(Response $response, string $text): string
    {
        $printed = Output::collect();
        $promised = $response->getLength();
        if (self::$open) {
            self::head($response, strlen($printed) + ($promised < 0 ? strlen($text) : min($promised, strlen($text))));
        }
        if (self::$bodiless) {
            return '';
        }
        return $printed === '' ? $text : $printed . $text;
    }

    private static function sendParts(Response $response, \Iterator $parts): string
    {
        if (!self::$bodiless) {
            $parts->rewind(); // until the first part is there, there can still be another response
        }
        $printed = Output::collect();
        if (self::$open) {
            $promised = $response->getLength();
            self::head($response, $promised < 0 ? -1 : strlen($printed) + $promised);
        }
        if (self::$bodiless) {
            return '';
        }
        for (; $parts->valid() && !self::$abandoned; $parts->next()) {
            self::part($printed . Output::collect() . $parts->current(), true);
            $printed = '';
        }
        Output::gather();
        $rest = $printed . Output::collect();
        if (self::$left > strlen($rest) && !self::$abandoned) {
            throw new \LengthException('the body is ' . (self::$left - strlen($rest)) . ' bytes shorter than its Content-Length');
        }
        return $rest;
    }

    /** @param resource $file */
    private static function sendFile(Response $response, $file): string
    {
        $printed = Output::collect();
        $length = self::lengthOf($file);
        if (self::$open && $printed === '' && $response->isFile() && $response->getStatus() === 200) {
            $length = FileRange::apply($response, $file, $length, self::$method, self::$fields);
        }
        if (self::$open) {
            self::head($response, $length < 0 ? -1 : strlen($printed) + $length);
        }
        if (self::$bodiless) {
            return '';
        }
        self::part($printed, false);
        for ($left = $length; $left !== 0 && !self::$abandoned; $left = max(-1, $left - strlen($part))) {
            // What comes bit by bit, as from another program, goes on as it comes.
            $part = (string) ($left < 0 ? fread($file, self::STEP) : stream_get_contents($file, min($left, self::STEP)));
            if ($part === '' && $left > 0) {
                throw new \RuntimeException('the file got shorter while it was sent');
            }
            if ($part === '' && feof($file)) {
                break;
            }
            self::part($part, $left < 0);
        }
        return '';
    }

    /**
     * @param  resource $stream
     * @return int the bytes from its position to its end; -1: unknown
     */
    private static function lengthOf($stream): int
    {
        $size = stream_get_meta_data($stream)['seekable'] ? (fstat($stream)['size'] ?? -1) : -1;
        return $size < 0 ? -1 : max(0, $size - (int) ftell($stream));
    }

    public static function iterator(\Traversable $parts): \Iterator
    {
        while ($parts instanceof \IteratorAggregate) {
            $parts = $parts->getIterator();
        }
        return $parts instanceof \Iterator ? $parts : new \IteratorIterator($parts);
    }

    /** Decides the header. The frame goes with the next one. */
    private static function head(Response $response, int $length): void
    {
        if ($response->getStatus() === 103) {
            self::hint($response);
            $response->status(200);
        }
        self::$status = $response->getStatus();
        if (self::$status === 204 || self::$status === 304) {
            self::$bodiless = true;
            $length = -1;
        } elseif (self::$bodiless && $length === 0) { // HEAD: a script needn't make a body to announce its length
            $length = $response->getLength();
        }
        self::$head = Wire::header(self::$status, $length, self::header($response, $length));
        self::$open = false;
        self::$decided = true;
        self::$left = $length;
    }

    /** Sends a part of the body. */
    private static function part(string $part, bool $flush): void
    {
        if ($part === '' || self::$bodiless || self::$abandoned) {
            return;
        }
        Wire::send(Wire::PART, $flush ? Wire::FLUSH : '', $part, self::$head);
        self::$head = '';
        if (self::$left >= 0) { // mkd drops what is beyond the length, and sends GONE
            self::$left = max(0, self::$left - strlen($part));
        }
        self::$abandoned = !Wire::isWanted();
    }

    private static function header(Response $response, int $length): string
    {
        $fields = self::lines($response->getHeaders(), $values);
        $bare = self::$status === 204 || self::$status === 304; // no content has no type
        if ($length !== 0 && !$bare && $response->getHeader('Content-Type') === null) {
            $charset = ini_get('default_charset');
            $fields .= "Content-Type\0" . ini_get('default_mimetype') . ($charset ? "; charset=$charset" : '') . "\0";
        }
        foreach (Session::fields($response) as [$name, $value]) {
            $fields .= "$name\0$value\0";
            $values++;
        }
        self::check($fields, $values);
        return $fields;
    }

    /**
     * Returns fields as a frame has them, and sets $values to their number.
     *
     * @param array<string, list<string>> $headers
     */
    private static function lines(array $headers, ?int &$values): string
    {
        $fields = '';
        $values = 0;
        foreach ($headers as $name => $list) {
            foreach ($list as $value) {
                $fields .= "$name\0$value\0";
                $values++;
            }
        }
        return $fields;
    }

    private static function check(string $fields, int $values): void
    {
        if (strlen($fields) > self::MAX_HEADER || $values >= self::MAX_VALUES) {
            throw new \LengthException("the response's header has " . strlen($fields) . " bytes and $values values; "
                . self::MAX_HEADER . ' and ' . self::MAX_VALUES . ' are the limits');
        }
    }
}
