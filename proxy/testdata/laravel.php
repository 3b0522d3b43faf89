<?php

// The application of examples/laravel, with pages that change all they can for later
// requests, and one that shows what a request finds.

declare(strict_types=1);

use App\Note;
use Illuminate\Http\Request;
use Illuminate\Support\Facades;
use Illuminate\Support\Facades\DB;
use Illuminate\Support\Facades\Route;

$app = require getenv('APP_BASE') . '/bootstrap/app.php';

/** A controller, which Laravel keeps in its route. */
final class Desk
{
    private string $who;

    public function __construct(Request $request)
    {
        $this->who = $request->query('who', 'nobody');
    }

    public function who(): string
    {
        return $this->who;
    }
}

/** What the application has made when it booted. */
final class Board
{
    public array $notes = [];
    public ?Board $inner = null;
    public readonly string $once;

    public function setOnce(string $who): void
    {
        $this->once = $who;
    }
}

$app->booted(function () use ($app): void {
    $app->instance('board', $board = new Board());
    $board->inner = new Board();
    Route::get('/desk', [Desk::class, 'who']);
    Route::get('/kept', function () { // rows of a table that ends with the connection
        DB::statement('CREATE TEMP TABLE IF NOT EXISTS kept (n INTEGER)');
        DB::insert('INSERT INTO kept VALUES (1)');
        return DB::table('kept')->count();
    });
    Route::get('/disconnected', function (): string {
        DB::disconnect();
        return 'disconnected';
    });
    Route::get('/once', function (Request $request) use ($board): string {
        $board->setOnce($request->query('who'));
        $board->notes[] = 'also';
        return $board->once;
    });
    Route::get('/stain', function (Request $request) use ($app, $board) {
        $who = $request->query('who');
        config(['app.name' => $who, 'stained' => $who, 'database.connections.notes.database' => ':memory:']);
        $app->setLocale('de');
        $app->instance('stained', $who);
        $app->singleton('later', fn () => $who);
        $app->make('later');
        $app->terminating(fn () => error_log('terminating'));
        $board->notes[] = $board->inner->notes[] = $who;
        $board->who = $who;
        Facades\View::share('who', $who);
        Facades\View::composer('*', fn () => null);
        Facades\Event::listen('stained', fn () => $who);
        Facades\URL::forceRootUrl('http://stained');
        Facades\Cookie::queue('stained', $who);
        Facades\Auth::setUser((new App\Users())->retrieveById($who));
        Facades\Session::put('stained', $who);
        Facades\Validator::extend('stained', fn () => true);
        Facades\Log::info('stained');
        Facades\Cache::store('array')->put('stained', $who);
        Facades\Response::macro('stained', fn () => $who);
        Carbon\Carbon::setLocale('fr');
        Carbon\Carbon::setTestNow('2001-01-01');
        Request::setTrustedProxies([$request->ip()], Request::HEADER_X_FORWARDED_FOR);
        Illuminate\Http\Resources\Json\JsonResource::withoutWrapping();
        Illuminate\Support\Str::createUuidsUsing(fn () => $who);
        Note::unguard();
        Note::addGlobalScope('stained', fn ($query) => $query->where('author', $who));
        Note::creating(fn () => false);
        Route::getRoutes()->getByName('login')->middleware('auth');
        $app->make(Illuminate\Contracts\Http\Kernel::class)->pushMiddleware(App\Late::class);
        DB::enableQueryLog();
        DB::listen(fn () => null);
        DB::statement('CREATE TABLE IF NOT EXISTS stains (who TEXT)');
        DB::beginTransaction();
        DB::insert('INSERT INTO stains VALUES (?)', [$who]);
        return 'stained';
    });
    Route::get('/look', fn (Request $request) => [
        'config' => [config('app.name'), config('stained'), config('database.connections.notes.database') === ':memory:'],
        'locale' => [$app->getLocale(), Carbon\Carbon::getLocale(), Carbon\Carbon::now()->year > 2020],
        'container' => [$app->bound('stained'), $app->bound('later')],
        'board' => json_encode($board),
        'view' => [Facades\View::shared('who'), view('hello', ['name' => 'x'])->render()],
        'events' => Facades\Event::hasListeners('stained'),
        'url' => url('/'),
        'cookies' => count(Facades\Cookie::getQueuedCookies()),
        'auth' => [Facades\Auth::check(), Facades\Auth::id(), $request->user()],
        'session' => Facades\Session::all(),
        'rules' => count(Facades\Validator::make([], [])->extensions),
        'cache' => Facades\Cache::store('array')->get('stained'),
        'macro' => Illuminate\Routing\ResponseFactory::hasMacro('stained'),
        'proxies' => Request::getTrustedProxies(),
        'wrap' => Illuminate\Http\Resources\Json\JsonResource::$wrap,
        'uuid' => strlen((string) Illuminate\Support\Str::uuid()),
        'model' => [Note::isUnguarded(), count((new Note())->getGlobalScopes()), (new Note())->newQuery()->toSql(), count(Facades\Event::getListeners('eloquent.creating: ' . Note::class))],
        'middleware' => Route::getRoutes()->getByName('login')->middleware(),
        'kernel' => $app->make(Illuminate\Contracts\Http\Kernel::class)->hasMiddleware(App\Late::class),
        'queries' => [DB::logging(), count(DB::getQueryLog()), DB::transactionLevel()],
        'rows' => DB::select('SELECT count(*) AS n FROM sqlite_master WHERE name = ?', ['stains'])[0]->n ? DB::table('stains')->count() : 0,
    ]);
});

$ARCANGELO_USERSPACE = ['on_http' => arca\symfony($app)];
