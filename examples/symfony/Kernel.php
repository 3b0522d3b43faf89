<?php

declare(strict_types=1);

namespace App;

use Symfony\Bundle\FrameworkBundle\FrameworkBundle;
use Symfony\Bundle\FrameworkBundle\Kernel\MicroKernelTrait;
use Symfony\Component\DependencyInjection\Loader\Configurator\ContainerConfigurator;
use Symfony\Component\HttpFoundation\BinaryFileResponse;
use Symfony\Component\HttpFoundation\Cookie;
use Symfony\Component\HttpFoundation\JsonResponse;
use Symfony\Component\HttpFoundation\RedirectResponse;
use Symfony\Component\HttpFoundation\Request;
use Symfony\Component\HttpFoundation\Response;
use Symfony\Component\HttpFoundation\StreamedResponse;
use Symfony\Component\HttpKernel\Kernel as BaseKernel;
use Symfony\Component\Routing\Loader\Configurator\RoutingConfigurator;
use Symfony\Contracts\Service\ResetInterface;

/** A service with state of one request, which Symfony resets after each. */
final class Basket implements ResetInterface
{
    /** @var list<string> */
    public array $items = [];

    public function reset(): void
    {
        $this->items = [];
    }
}

/** A Symfony application in one file. */
final class Kernel extends BaseKernel
{
    use MicroKernelTrait;

    public function registerBundles(): iterable
    {
        yield new FrameworkBundle();
    }

    public function getProjectDir(): string
    {
        return __DIR__;
    }

    public function getCacheDir(): string
    {
        return ($_SERVER['APP_VAR'] ?? __DIR__ . '/var') . "/cache/$this->environment";
    }

    public function getLogDir(): string
    {
        return ($_SERVER['APP_VAR'] ?? __DIR__ . '/var') . '/log';
    }

    protected function configureContainer(ContainerConfigurator $container): void
    {
        $container->extension('framework', [
            'secret' => 'only an example',
            'http_method_override' => true,
            'router' => ['utf8' => true],
            'session' => ['storage_factory_id' => 'session.storage.factory.native', 'handler_id' => null, 'cookie_samesite' => 'lax'],
        ]);
        $container->services()->set(Basket::class)->public()->autoconfigure();
    }

    protected function configureRoutes(RoutingConfigurator $routes): void
    {
        $add = fn (string $name, string $path, string ...$methods) => $routes->add($name, $path)->controller("kernel::$name")->methods($methods);
        $add('hello', '/hello/{name}', 'GET');
        $add('echoed', '/echo');
        $add('visits', '/visits');
        $add('basket', '/basket/{item}');
        $add('upload', '/upload', 'POST', 'PUT');
        $add('download', '/download');
        $add('stream', '/stream');
        $add('cookies', '/cookies');
        $add('redirect', '/redirect');
        $add('broken', '/broken');
        $add('cached', '/cached');
        $add('late', '/late');
    }

    public function hello(string $name): Response
    {
        return new Response("Hello, $name!\n", 200, ['Content-Type' => 'text/plain']);
    }

    /** What the application sees of the request. */
    public function echoed(Request $request): JsonResponse
    {
        return new JsonResponse([
            'method' => $request->getMethod(),
            'path' => $request->getPathInfo(),
            'query' => $request->query->all(),
            'form' => $request->request->all(),
            'cookies' => $request->cookies->all(),
            'type' => $request->headers->get('Content-Type'),
            'content' => md5($request->getContent()),
            'ip' => $request->getClientIp(),
            'host' => $request->getHost(),
            'user' => $request->getUser(),
            'ajax' => $request->isXmlHttpRequest(),
        ]);
    }

    public function visits(Request $request): Response
    {
        $session = $request->getSession();
        $session->set('visits', $session->get('visits', 0) + 1);
        return new Response("visit {$session->get('visits')}\n");
    }

    /** What was put into the basket in this request alone. */
    public function basket(string $item): JsonResponse
    {
        $basket = $this->getContainer()->get(Basket::class);
        $basket->items[] = $item;
        return new JsonResponse($basket->items);
    }

    public function upload(Request $request): JsonResponse
    {
        $received = ['fields' => $request->request->all(), 'files' => []];
        foreach ($request->files->all() as $field => $files) {
            foreach (is_array($files) ? $files : [$files] as $file) {
                if (!$file?->isValid()) {
                    $received['files'][$field][] = $file?->getErrorMessage();
                    continue;
                }
                $moved = $file->move(sys_get_temp_dir(), uniqid('upload', true));
                $received['files'][$field][] = [$file->getClientOriginalName(), $file->getClientMimeType(), md5_file($moved->getPathname())];
                unlink($moved->getPathname());
            }
        }
        return new JsonResponse($received);
    }

    public function download(): BinaryFileResponse
    {
        $response = new BinaryFileResponse(__FILE__, 200, ['Content-Type' => 'text/plain']);
        return $response->setContentDisposition('attachment', 'Kernel.php')->setAutoEtag();
    }

    public function stream(): StreamedResponse
    {
        return new StreamedResponse(function (): void {
            foreach (range(1, 5) as $n) {
                echo "part $n\n";
                flush();
            }
        }, 200, ['Content-Type' => 'text/plain']);
    }

    public function cookies(): Response
    {
        $response = new Response("two cookies\n");
        $response->headers->setCookie(Cookie::create('one', 'a b', 2_000_000_000));
        $response->headers->setCookie(Cookie::create('two', '2')->withPath('/x')->withSameSite('strict'));
        $response->headers->clearCookie('three');
        return $response;
    }

    public function redirect(): RedirectResponse
    {
        return new RedirectResponse('/hello/again', 303);
    }

    public function broken(): never
    {
        throw new \RuntimeException('this goes to the log');
    }

    public function cached(Request $request): Response
    {
        $response = (new Response("cached\n"))->setPublic()->setMaxAge(60)->setEtag('v1');
        $response->isNotModified($request);
        return $response;
    }

    /** Does something after the client has the response. */
    public function late(): Response
    {
        $this->getContainer()->get('event_dispatcher')->addListener('kernel.terminate', $listener = function () use (&$listener): void {
            $this->getContainer()->get('event_dispatcher')->removeListener('kernel.terminate', $listener);
            error_log('worked after the response');
        });
        return new Response("it goes on\n");
    }
}
