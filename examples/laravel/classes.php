<?php

declare(strict_types=1);

namespace App;

use Closure;
use Illuminate\Auth\GenericUser;
use Illuminate\Contracts\Auth\Authenticatable;
use Illuminate\Contracts\Auth\UserProvider;
use Illuminate\Database\Eloquent\Model;
use Illuminate\Foundation\Exceptions\Handler as BaseHandler;
use Illuminate\Foundation\Http\Kernel as BaseKernel;
use Illuminate\Foundation\Support\Providers\RouteServiceProvider;
use Illuminate\Http\Request;
use Illuminate\Support\Facades\Auth;
use Illuminate\Support\Facades\Route;
use Symfony\Component\HttpFoundation\Response;

// phpcs:disable PSR1.Classes.ClassDeclaration.MultipleClasses

final class Kernel extends BaseKernel
{
    protected $middleware = [
        \Illuminate\Foundation\Http\Middleware\ValidatePostSize::class,
        \Illuminate\Foundation\Http\Middleware\TrimStrings::class,
    ];

    protected $middlewareGroups = [
        'web' => [
            \Illuminate\Cookie\Middleware\EncryptCookies::class,
            \Illuminate\Cookie\Middleware\AddQueuedCookiesToResponse::class,
            \Illuminate\Session\Middleware\StartSession::class,
            \Illuminate\View\Middleware\ShareErrorsFromSession::class,
            \Illuminate\Foundation\Http\Middleware\VerifyCsrfToken::class,
            \Illuminate\Routing\Middleware\SubstituteBindings::class,
        ],
    ];

    protected $routeMiddleware = [
        'cache.headers' => \Illuminate\Http\Middleware\SetCacheHeaders::class,
        'auth' => \Illuminate\Auth\Middleware\Authenticate::class,
        'late' => Late::class,
    ];
}

final class Handler extends BaseHandler
{
}

/** A middleware that works on after the client has its response. */
final class Late
{
    public function handle(Request $request, Closure $next): Response
    {
        return $next($request);
    }

    public function terminate(Request $request, Response $response): void
    {
        error_log('worked after the response to ' . $request->path());
    }
}

/** Everybody is a user, whose password is the name. */
final class Users implements UserProvider
{
    public function retrieveById($identifier): Authenticatable
    {
        return new GenericUser(['id' => $identifier, 'password' => '', 'remember_token' => null]);
    }

    public function retrieveByToken($identifier, $token): ?Authenticatable
    {
        return null;
    }

    public function updateRememberToken(Authenticatable $user, $token): void
    {
    }

    public function retrieveByCredentials(array $credentials): Authenticatable
    {
        return $this->retrieveById($credentials['name']);
    }

    public function validateCredentials(Authenticatable $user, array $credentials): bool
    {
        return $user->getAuthIdentifier() === $credentials['password'];
    }

    public function rehashPasswordIfRequired(Authenticatable $user, array $credentials, bool $force = false): void
    {
    }
}

/** A note, which belongs to the user who makes it. */
final class Note extends Model
{
    public $timestamps = false;
    protected $guarded = [];

    protected static function booted(): void
    {
        self::creating(function (Note $note): void {
            $note->author = Auth::id();
        });
    }
}

/** Names the routes and the users. */
final class Provider extends RouteServiceProvider
{
    public function boot(): void
    {
        Auth::provider('names', fn () => new Users());
        $this->routes(function (): void {
            Route::group([], base_path('routes/plain.php'));
            Route::middleware('web')->group(base_path('routes/web.php'));
        });
    }
}
