<!DOCTYPE html>
<title>Login</title>
@error('name')
<p>{{ $message }}</p>
@enderror
<form method="post" action="{{ url('/login') }}">
@csrf
<input name="name" value="{{ old('name') }}"> <input name="password" type="password"> <button>Log in</button>
</form>
