<?php

// Pages without a session.

declare(strict_types=1);

use Illuminate\Http\Request;
use Illuminate\Support\Facades\Route;
use Illuminate\Support\Facades\Storage;

Route::get('/hello/{name}', fn (string $name) => view('hello', ['name' => $name]));

// What the application sees of the request.
Route::any('/echo', fn (Request $request) => [
    'method' => $request->method(),
    'path' => $request->path(),
    'url' => $request->fullUrl(),
    'link' => url('/hello/Ada'),
    'query' => $request->query(),
    'input' => $request->input(),
    'cookies' => $request->cookies->all(),
    'content' => md5($request->getContent()),
    'ip' => $request->ip(),
    'user' => $request->getUser(),
    'ajax' => $request->ajax(),
    'console' => app()->runningInConsole(),
]);

Route::match(['POST', 'PUT'], '/upload', function (Request $request) {
    $received = ['fields' => $request->post(), 'files' => []];
    foreach ($request->allFiles() as $field => $files) {
        foreach (is_array($files) ? $files : [$files] as $file) {
            $stored = $file->isValid() ? $file->store('uploads') : throw new RuntimeException($file->getErrorMessage());
            $received['files'][$field][] = [$file->getClientOriginalName(), $file->getClientMimeType(), md5(Storage::get($stored))];
            Storage::delete($stored);
        }
    }
    return $received;
});

Route::get('/download', fn () => response()->download(base_path('classes.php'), 'classes.php', ['Content-Type' => 'text/plain']));

Route::get('/stream', fn () => response()->stream(function (): void {
    foreach (range(1, 5) as $n) {
        echo "part $n\n";
        flush();
    }
}, 200, ['Content-Type' => 'text/plain']));

Route::get('/cookies', fn () => response("two cookies\n")
    ->cookie('one', 'a b', 60)
    ->cookie('two', '2', 60, '/x', null, true, true, false, 'strict')
    ->withoutCookie('three'));

Route::redirect('/old', '/hello/again', 301);
Route::get('/cached', fn () => response("cached\n"))->middleware('cache.headers:public;max_age=60;etag');
Route::get('/late', fn () => "it goes on\n")->middleware('late');
Route::get('/teapot', fn () => abort(418, 'I am a teapot'));
Route::get('/broken', fn () => throw new RuntimeException('this goes to the log'));
Route::post('/checked', fn (Request $request) => $request->validate(['name' => 'required|max:5', 'age' => 'integer']));
