<?php

declare(strict_types=1);

namespace arca;

/**
 * Decides what a request gets of a file: the whole file, a range of it, or 304 (RFC
 * 9110, sections 13 and 14). A request for several ranges gets the whole file.
 *
 * @internal
 */
final class FileRange
{
    /**
     * Sets the status and the fields of a response with a file, and moves the file
     * to where the response begins. Returns the length of the response.
     *
     * @param resource                    $file
     * @param array<string, list<string>> $request the header
     */
    public static function apply(Response $response, $file, int $length, string $method, array $request): int
    {
        if ($length < 0) {
            return $length;
        }
        $modified = fstat($file)['mtime'];
        if ($response->getHeader('Last-Modified') === null) {
            $response->header('Last-Modified', gmdate('D, d M Y H:i:s', $modified) . ' GMT');
        }
        if ($response->getHeader('ETag') === null) {
            // Another change within the same second bears the same time.
            $weak = time() - $modified < 2 ? 'W/' : '';
            $response->header('ETag', sprintf('%s"%x-%x"', $weak, $modified, $length));
        }
        $response->header('Accept-Ranges', 'bytes');
        if ($method !== 'GET' && $method !== 'HEAD') {
            return $length;
        }
        $tag = $response->getHeader('ETag');
        $changed = (int) strtotime((string) $response->getHeader('Last-Modified'));
        $status = self::condition($request, $tag, $changed);
        if ($status !== 200) {
            return self::without($response, $status);
        }
        $range = $request['Range'] ?? [];
        if ($method !== 'GET' || count($range) !== 1 || !self::holds($request['If-Range'][0] ?? null, $tag, $changed)) {
            return $length;
        }
        $span = self::parse($range[0], $length);
        if ($span === null) {
            return $length;
        }
        [$from, $to] = $span;
        if ($to < $from) {
            $response->header('Content-Range', "bytes */$length");
            return self::without($response, 416);
        }
        fseek($file, $from, SEEK_CUR);
        $response->status(206)->header('Content-Range', "bytes $from-$to/$length");
        return $to - $from + 1;
    }

    /**
     * Returns the status that the conditions of a request lead to: 200, 304 or 412
     * (RFC 9110, section 13.2.2).
     *
     * @param array<string, list<string>> $request the header
     */
    private static function condition(array $request, string $tag, int $changed): int
    {
        if (isset($request['If-Match'])) {
            if (!self::matches(implode(',', $request['If-Match']), $tag, true)) {
                return 412;
            }
        } elseif (isset($request['If-Unmodified-Since'])) {
            $since = strtotime($request['If-Unmodified-Since'][0]);
            if ($since !== false && $changed > $since) {
                return 412;
            }
        }
        if (isset($request['If-None-Match'])) {
            return self::matches(implode(',', $request['If-None-Match']), $tag, false) ? 304 : 200;
        }
        $since = isset($request['If-Modified-Since']) ? strtotime($request['If-Modified-Since'][0]) : false;
        return $since !== false && $changed <= $since ? 304 : 200;
    }

    /** Whether a list of tags has one; two weak ones never match strongly. */
    private static function matches(string $list, string $tag, bool $strongly): bool
    {
        if (trim($list) === '*') {
            return true;
        }
        preg_match_all('~(W/)?"[\x21\x23-\x7e\x80-\xff]*"~', $list, $tags);
        foreach ($tags[0] as $one) {
            if ($strongly ? $one === $tag && $one[0] === '"' : self::opaque($one) === self::opaque($tag)) {
                return true;
            }
        }
        return false;
    }

    private static function opaque(string $tag): string
    {
        return str_starts_with($tag, 'W/') ? substr($tag, 2) : $tag;
    }

    /** Whether If-Range lets a range be sent. */
    private static function holds(?string $condition, string $tag, int $changed): bool
    {
        if ($condition === null) {
            return true;
        }
        if (str_contains($condition, '"')) {
            return self::matches($condition, $tag, true);
        }
        return strtotime($condition) === $changed;
    }

    /**
     * Reads a Range. Numbers beyond an int become the largest int.
     *
     * @return ?array{int, int} the first byte and the last, which is before it if there are none; null: the whole file
     */
    private static function parse(string $range, int $length): ?array
    {
        $set = str_starts_with($range, 'bytes=') ? trim(substr($range, strlen('bytes=')), " \t") : '';
        if ($set === '' || str_contains($set, ',')) {
            return null;
        }
        if (!preg_match('/^(\d*)-(\d*)$/D', $set, $m) || $set === '-') {
            return [0, -1];
        }
        [, $first, $last] = $m;
        if ($first === '') {
            return [max(0, $length - (int) $last), $length - 1];
        }
        return [(int) $first, $last === '' ? $length - 1 : min((int) $last, $length - 1)];
    }

    /** Makes a response that has no content. Returns its length. */
    private static function without(Response $response, int $status): int
    {
        $response->status($status)->removeHeader('Content-Type')->removeHeader('Content-Disposition');
        $response->removeHeader('Last-Modified')->removeHeader('Accept-Ranges'); // the tag suffices
        if ($status !== 304) {
            $response->removeHeader('ETag');
        }
        return 0;
    }
}
