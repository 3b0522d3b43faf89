<?php

declare(strict_types=1);

use PHPUnit\Framework\TestCase;

final class StreamTest extends TestCase
{
    public function testEvents(): void
    {
        $response = arca\stream(['plain', "two\r\nlines\n", ['tea' => 'grün'], ['data' => 'x', 'event' => 'news', 'id' => 7, 'retry' => 100], null, 42]);
        self::assertSame('text/event-stream', $response->getHeader('content-type'));
        self::assertSame([
            ":\n\n",
            "data: plain\n\n",
            "data: two\ndata: lines\ndata: \n\n",
            "data: {\"tea\":\"grün\"}\n\n",
            "event: news\nid: 7\nretry: 100\ndata: x\n\n",
            ":\n\n",
            "data: 42\n\n",
        ], iterator_to_array($response->getBody(), false));
    }

    public function testForgedFields(): void
    {
        foreach (['event', 'id', 'retry'] as $field) {
            try {
                arca\eventText([$field => "x\ndata: forged", 'data' => '']);
                self::fail($field);
            } catch (InvalidArgumentException $e) {
                self::assertStringContainsString($field, $e->getMessage());
            }
        }
    }
}
