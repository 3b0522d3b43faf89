<?php

declare(strict_types=1);

namespace arca;

use function http_response_code;
use function in_array;
use function is_array;
use function is_scalar;
use function strlen;

/**
 * One HTTP request, which on_http handles.
 *
 * @internal
 */
final class HttpCall
{
    /** Longer bodies of requests are kept in a file. */
    private const IN_MEMORY = 262144;

    /** Whether the handler runs, and what it prints can be the response. */
    private static bool $handling = false;

    public static function run(?callable $start, ?callable $http, int $flags, string $block): void
    {
        $error = null;
        $rest = $head = '';
        try {
            [$body, $length] = $flags & Wire::MORE ? self::receive($flags) : ['', 0];
            $request = Globals::set($block, $flags, $body, $length);
            unset($block, $body);
            ResponseWriter::begin($request->method, $request->headers);
            Session::begin($request->cookies);
            Output::toClient();
            self::$handling = true;
            if ($start) {
                $start();
            }
            $result = ($http ?? throw new \LogicException('the script has no on_http'))($request);
            unset($request);
            if (Worker::hasResponded()) {
                self::drop($result);
            } else {
                Output::gather();
                self::$handling = false;
                $response = self::response($result);
                unset($result);
                $rest = ResponseWriter::send($response);
            }
        } catch (ClientGone) {
            // The script has ended where it flushed.
        } catch (\Throwable $e) {
            self::$handling = false; // if it can't be made a text, what was printed is no response either
            $error = (string) $e;
            $page = Worker::$dev ? Dev::respond($e, $request ?? null) : null;
            if ($page !== null) {
                [$error, $rest] = [null, $page];
            }
        }
        try {
            if (!Worker::hasResponded()) {
                $head = self::close();
            }
            unset($request, $result, $response); // a destructor may throw
            Session::close();
        } catch (\Throwable $e) {
            $error ??= (string) $e;
        }
        Output::toLog();
        Worker::complete($error, $rest, $head);
    }

    /** Whether a handler runs that hasn't responded. */
    public static function isHandling(): bool
    {
        return self::$handling;
    }

    /** Responds with what on_http could have returned, and lets the handler go on. */
    public static function finish(mixed $result): void
    {
        Output::gather();
        $rest = ResponseWriter::send(self::response($result));
        $head = self::close();
        Session::close();
        Worker::respond(null, $rest, $head);
    }

    /** Ends what a handler can add to its response. Returns the frame that has to go before the next one. */
    private static function close(): string
    {
        self::$handling = false;
        Output::toLog();
        if (ResponseWriter::isDecided()) {
            Session::checkCookie();
        }
        return ResponseWriter::end();
    }

    /** Warns of a result that comes after the response. */
    private static function drop(mixed $result): void
    {
        if ($result !== null) {
            Wire::send(Wire::LOG, Wire::WARNING, 'Warning: what on_http returned after arca\finish is dropped');
        }
    }

    /**
     * Responds for a handler that called exit: with what it has printed, or the
     * status it has set. Returns false if it has done neither.
     */
    public static function atExit(): bool
    {
        if (!self::$handling) {
            return false;
        }
        self::$handling = false;
        try {
            Output::gather();
            if (ResponseWriter::isOpen() && !Output::hasPrinted() && http_response_code() === 200) {
                return false;
            }
            $rest = ResponseWriter::send(new Response('', self::status()));
            Session::close();
        } catch (\Throwable $e) {
            Wire::send(Wire::LOG, Wire::FAILURE, (string) $e);
            return false;
        }
        Wire::send(Wire::LOG, Wire::WARNING, 'the script called exit during a request; what it had printed is the response');
        Wire::send(Wire::END, Wire::memory() . Wire::LEAVES, $rest, ResponseWriter::end());
        return true;
    }

    /** @return array{string|resource, int} the body and its length */
    private static function receive(int $flags): array
    {
        $text = '';
        $file = null;
        $length = 0;
        $last = false;
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

    /** Makes a response of what on_http returned. */
    private static function response(mixed $result): Response
    {
        if ($result === null) { // what was printed is the body
            return new Response('', self::status());
        }
        if ($result instanceof \Traversable) {
            $result = ResponseWriter::iterator($result);
            $result->rewind(); // what it does before the first part may set the status
        }
        return match (true) {
            $result instanceof Response => $result,
            is_scalar($result), is_array($result) => new Response($result, self::status()),
            $result instanceof \Psr\Http\Message\ResponseInterface => fromPsr($result),
            $result instanceof \Traversable, $result instanceof \Stringable => new Response($result, self::status()),
            default => throw new \UnexpectedValueException('on_http returned ' . get_debug_type($result) . ', want an arca\Response, a string, or an iterable'),
        };
    }

    /** The status that the script has set with http_response_code, or with header, which has no other effect. */
    public static function status(): int
    {
        $status = http_response_code() ?: 200;
        if (in_array($status, [301, 302, 303, 307, 308], true)) {
            Wire::send(Wire::LOG, Wire::WARNING, "Warning: the redirect ($status) leads nowhere: a worker's header() sets no field; return arca\Response::redirect()");
        }
        return $status;
    }
}
