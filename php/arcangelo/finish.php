<?php

declare(strict_types=1);

namespace arca;

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
    match (true) {
        HttpCall::isHandling() => HttpCall::finish($response),
        RawCall::isHandling() => RawCall::finish($response),
        default => throw new \LogicException('arca\finish: there is no request, or it has its response'),
    };
}
