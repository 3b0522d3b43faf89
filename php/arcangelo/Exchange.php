<?php

declare(strict_types=1);

namespace arca;

/**
 * One HTTP request and its answer.
 *
 * @internal
 */
final class Exchange
{
    /** Longer bodies of requests are kept in a file. */
    private const IN_MEMORY = 262144;
    /** Bytes of a part of a file. */
    private const STEP = 262144;
    /** What an answer's header may have, in bytes and in values. */
    private const MAX_HEADER = 65536;
    private const MAX_VALUES = 256;
    /** In an END's head: the worker ends too. */
    private const LEAVES = "\x01";

    /** The buffer that takes what the handler prints; 0: none does. */
    private static int $level = 0;
    private static bool $bodiless = false;
    /** Whether a request has no response yet, so that early hints can be sent. */
    private static bool $open = false;

    /** Has a request answered. */
    public static function run(?callable $start, ?callable $http, int $flags, string $block): void
    {
        $error = null;
        $head = $rest = '';
        try {
            [$body, $length] = self::receive($flags);
            $request = Globals::set($block, $flags, $body, $length);
            unset($block, $body);
            http_response_code(200);
            self::$bodiless = $request->method === 'HEAD';
            self::$open = true;
            Session::begin($request->cookies);
            ob_start();
            self::$level = ob_get_level();
            if ($start) {
                $start();
            }
            $answer = ($http ?? throw new \LogicException('the script has no on_http'))($request);
            unset($request);
            $response = self::response($answer, self::collect());
            unset($answer);
            $rest = self::send($response, $head);
        } catch (\Throwable $e) {
            echo self::collect();
            $error = (string) $e;
        }
        try {
            unset($request, $answer, $response); // a destructor may throw
            Session::close();
        } catch (\Throwable $e) {
            $error ??= (string) $e;
        }
        self::$open = false;
        Worker::stop();
        Worker::settleOutput();
        Globals::clear();
        if ($error !== null) {
            Wire::send(Wire::ERROR, Wire::GOES_ON . Wire::memory(), $error);
            return;
        }
        if (strlen($rest) > Wire::COPY_LIMIT) { // it goes first, so that it isn't counted
            Wire::send(Wire::PART, '', $rest, $head);
            $rest = $head = '';
        }
        if (headers_sent()) { // from now on PHP would start no session, and set no status
            Wire::send(Wire::LOG, Wire::WARNING, 'the script ended the output buffer of Arcangelo, and printed to standard output: the worker is replaced');
            Wire::send(Wire::END, Wire::memory() . self::LEAVES, $rest, $head);
            Wire::done();
            exit(0);
        }
        Wire::send(Wire::END, Wire::memory(), $rest, $head);
    }

    /**
     * Answers for a handler that called exit: with what it has printed, or the
     * status it has set. False: it has done neither.
     */
    public static function atExit(): bool
    {
        if (self::$level === 0) {
            return false;
        }
        $printed = self::collect();
        if ($printed === '' && http_response_code() === 200) {
            return false;
        }
        $head = '';
        try {
            $rest = self::send(self::response(null, $printed), $head);
            Session::close();
        } catch (\Throwable $e) {
            Wire::send(Wire::LOG, Wire::FAILURE, (string) $e);
            return false;
        }
        Wire::send(Wire::LOG, Wire::WARNING, 'the script called exit during a request; what it had printed is the answer');
        Wire::send(Wire::END, Wire::memory() . self::LEAVES, $rest, $head);
        return true;
    }

    /** @return array{string|resource, int} the body and its length */
    private static function receive(int $flags): array
    {
        $text = '';
        $file = null;
        $length = 0;
        $last = ($flags & Wire::MORE) === 0;
        while (!$last) {
            $part = Wire::part($last);
            $length += strlen($part);
            if ($file === null && $length > self::IN_MEMORY && !($flags & Wire::FORM)) {
                $file = self::namelessFile();
                $part = $text . $part;
                $text = '';
            }
            if ($file === null) {
                $text .= $part;
            } elseif ($file && fwrite($file, $part) !== strlen($part)) {
                $file = false; // the rest has to be read nevertheless
            }
        }
        if ($file === false) {
            throw new \RuntimeException("the request's body can't be kept in " . sys_get_temp_dir());
        }
        return [$file ?? $text, $length];
    }

    /** @return resource|false */
    private static function namelessFile()
    {
        $path = @tempnam(sys_get_temp_dir(), 'mkd');
        $file = $path === false ? false : fopen($path, 'w+b');
        if ($file !== false) {
            unlink($path);
        }
        return $file;
    }

    /** What the handler has printed. */
    private static function collect(): string
    {
        $level = self::$level;
        self::$level = 0;
        while ($level > 0 && ob_get_level() > $level && @ob_end_flush()) {
        }
        if (ob_get_level() < $level) {
            Wire::send(Wire::LOG, Wire::WARNING, 'Warning: the script ended the output buffer of Arcangelo: what it has printed goes to the log, not to the client');
        }
        return $level > 0 && ob_get_level() === $level ? (string) ob_get_clean() : '';
    }

    private static function response(mixed $answer, string $printed): Response
    {
        if ($answer === null) {
            return new Response($printed, self::status());
        }
        echo $printed; // into the log
        if ($answer instanceof \Traversable) {
            $answer = self::iterator($answer);
            $answer->rewind(); // what it does before the first part may set the status
        }
        return match (true) {
            $answer instanceof Response => $answer,
            $answer instanceof \Psr\Http\Message\ResponseInterface => fromPsr($answer),
            $answer instanceof \Traversable, is_scalar($answer), is_array($answer), $answer instanceof \Stringable => new Response($answer, self::status()),
            default => throw new \UnexpectedValueException('on_http returned ' . get_debug_type($answer) . ', an arca\Response is due, or a string, or an iterable'),
        };
    }

    /** What http_response_code was told. */
    private static function status(): int
    {
        return http_response_code() ?: 200;
    }

    /**
     * Sends what comes in parts, and returns what is left of the body. $head is
     * set to a frame that has to go before that.
     */
    private static function send(Response $response, string &$head): string
    {
        $body = $response->getBody();
        $parts = null;
        if (is_array($body)) {
            $body = implode('', $body);
        } elseif ($body instanceof \Traversable) {
            $parts = self::iterator($body);
            if (!self::$bodiless) {
                $parts->rewind(); // until the first part is there, there can still be another answer
            }
        }
        $length = match (true) {
            is_string($body) => self::shorter(strlen($body), self::promised($response)),
            is_resource($body) => self::length($body),
            default => self::promised($response),
        };
        if ($response->getStatus() === 103) {
            self::hint($response);
            $response->status(200);
        }
        $status = $response->getStatus();
        if ($status === 204 || $status === 304) {
            self::$bodiless = true;
            $length = -1;
        } elseif (self::$bodiless && $length === 0) { // to HEAD: it needn't make a body to tell its length
            $length = self::promised($response);
        }
        self::$open = false;
        $head = Wire::make(Wire::HEAD, pack('nJ', $status, $length), self::fields($response, $length));
        if (self::$bodiless) {
            return '';
        }
        if (is_string($body)) {
            return $body;
        }
        if ($parts === null) {
            self::sendFile($body, $length, $head);
        } else {
            self::sendParts($parts, $length, $head);
        }
        return '';
    }

    /**
     * @param  resource $stream
     * @return int the bytes from where it stands; -1: nobody knows
     */
    private static function length($stream): int
    {
        $size = stream_get_meta_data($stream)['seekable'] ? (fstat($stream)['size'] ?? -1) : -1;
        return $size < 0 ? -1 : max(0, $size - (int) ftell($stream));
    }

    private static function iterator(\Traversable $parts): \Iterator
    {
        while ($parts instanceof \IteratorAggregate) {
            $parts = $parts->getIterator();
        }
        return $parts instanceof \Iterator ? $parts : new \IteratorIterator($parts);
    }

    /** The length that a response says its parts will have together; -1: none. */
    private static function promised(Response $response): int
    {
        $length = $response->getHeader('Content-Length');
        return $length !== null && ctype_digit($length) ? (int) $length : -1;
    }

    /** A body that is longer than its Content-Length is cut off. */
    private static function shorter(int $length, int $promised): int
    {
        return $promised >= 0 ? min($length, $promised) : $length;
    }

    /** Sends the fields of a response as an early hint. */
    public static function hint(Response $response): void
    {
        $fields = self::lines($response, $values);
        if (self::$open && $values > 0) {
            self::check($fields, $values);
            Wire::send(Wire::HEAD, pack('nJ', 103, -1), $fields);
        }
    }

    /** The fields of a response as a frame has them. */
    private static function lines(Response $response, ?int &$values): string
    {
        $fields = '';
        $values = 0;
        foreach ($response->getHeaders() as $name => $list) {
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

    private static function fields(Response $response, int $length): string
    {
        $fields = self::lines($response, $values);
        $bare = in_array($response->getStatus(), [204, 304], true); // there is no content that could have a type
        if ($length !== 0 && !$bare && $response->getHeader('Content-Type') === null) {
            $charset = ini_get('default_charset');
            $fields .= "Content-Type\0" . ini_get('default_mimetype') . ($charset ? "; charset=$charset" : '') . "\0";
        }
        foreach (Session::fields($response->getHeader('Cache-Control') !== null) as [$name, $value]) {
            $fields .= "$name\0$value\0";
            $values++;
        }
        self::check($fields, $values);
        return $fields;
    }

    /** @param resource $file */
    private static function sendFile($file, int $length, string &$head): void
    {
        for ($left = $length; $left !== 0; $left = max(-1, $left - strlen($part))) {
            // What comes bit by bit, as from another program, goes on as it comes.
            $part = (string) ($left < 0 ? fread($file, self::STEP) : stream_get_contents($file, min($left, self::STEP)));
            if ($part === '') {
                if ($left > 0) {
                    throw new \RuntimeException('the file got shorter while it was sent');
                }
                if (feof($file)) {
                    return;
                }
                continue;
            }
            Wire::send(Wire::PART, $left < 0 ? Wire::FLUSH : '', $part, $head);
            $head = '';
            if (!Wire::isWanted()) {
                return;
            }
        }
    }

    private static function sendParts(\Iterator $parts, int $length, string &$head): void
    {
        $left = $length;
        for (; $parts->valid(); $parts->next()) {
            $part = (string) $parts->current();
            if ($part === '') {
                continue;
            }
            $left -= strlen($part); // mkd drops what is beyond the length, and says GONE
            Wire::send(Wire::PART, Wire::FLUSH, $part, $head);
            $head = '';
            if (!Wire::isWanted()) {
                return;
            }
        }
        if ($length >= 0 && $left > 0) {
            throw new \LengthException("the body is shorter than its Content-Length of $length");
        }
    }
}
