/* The native side of com.nmi.sazukari.SazukariNative. */
#include <stdlib.h>
#include <string.h>

#include "handles.h"

#define NATIVE(type, name) JNIEXPORT type JNICALL Java_com_nmi_sazukari_SazukariNative__1##name

/* Set once, by JNI_OnLoad. An id may be used by any thread; a JNIEnv may not. */
static jclass native_class;
static jmethodID socket_read, socket_write, copy_from, copy_to, new_buffer;

JNIEXPORT jint JNICALL JNI_OnLoad(JavaVM *vm, void *reserved)
{
	JNIEnv *env;
	(void)reserved;
	if ((*vm)->GetEnv(vm, (void **)&env, JNI_VERSION_1_6) != JNI_OK)
		return JNI_ERR;
	jclass found = (*env)->FindClass(env, "com/nmi/sazukari/SazukariNative");
	if (found == NULL || (native_class = (*env)->NewGlobalRef(env, found)) == NULL)
		return JNI_ERR;
	const struct {
		jmethodID *id;
		const char *name, *signature;
	} methods[] = {
		{&socket_read, "_snSocketRead", "(ILjava/nio/ByteBuffer;J)J"},
		{&socket_write, "_snSocketWrite", "(ILjava/nio/ByteBuffer;J)J"},
		{&copy_from, "copyFrom", "(Ljava/nio/ByteBuffer;)[B"},
		{&copy_to, "copyTo", "(Ljava/nio/ByteBuffer;[B)Z"},
		{&new_buffer, "newBuffer", "([B)Ljava/nio/ByteBuffer;"},
	};
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		*methods[i].id = (*env)->GetStaticMethodID(env, native_class, methods[i].name, methods[i].signature);
		if (*methods[i].id == NULL)
			return JNI_ERR;
	}
	return JNI_VERSION_1_6;
}

JNIEXPORT void JNICALL JNI_OnUnload(JavaVM *vm, void *reserved)
{
	JNIEnv *env;
	(void)reserved;
	if ((*vm)->GetEnv(vm, (void **)&env, JNI_VERSION_1_6) == JNI_OK)
		(*env)->DeleteGlobalRef(env, native_class);
}

/* Drops an exception of a method that was called, and returns 1 if there was
 * one: failures are numbers here. */
static int threw(JNIEnv *env)
{
	if (!(*env)->ExceptionCheck(env))
		return 0;
	(*env)->ExceptionClear(env);
	return 1;
}

static slength_t move_bytes(struct entry *e, jmethodID method, byte *buffer, length_t length)
{
	JNIEnv *env = e->env;
	jobject wrapped = (*env)->NewDirectByteBuffer(env, buffer, length);
	if (wrapped == NULL) {
		threw(env);
		return -1;
	}
	jlong n = (*env)->CallStaticLongMethod(env, native_class, method, e->socket, wrapped, (jlong)length);
	if (threw(env) || n > (jlong)length)
		n = -1;
	(*env)->DeleteLocalRef(env, wrapped);
	return (slength_t)n;
}

static slength_t on_read(byte *buffer, length_t length, void *param)
{
	return move_bytes(param, socket_read, buffer, length);
}

static slength_t on_write(byte *buffer, length_t length, void *param)
{
	return move_bytes(param, socket_write, buffer, length);
}

/* Returns a copy of what is between a buffer's position and its limit, which
 * the caller frees; NULL without memory or buffer. */
static byte *bytes_of(JNIEnv *env, jobject buffer, length_t *size)
{
	if (buffer == NULL)
		return NULL;
	jbyteArray array = (*env)->CallStaticObjectMethod(env, native_class, copy_from, buffer);
	if (threw(env) || array == NULL)
		return NULL;
	jsize n = (*env)->GetArrayLength(env, array);
	byte *bytes = malloc((size_t)n + 1);
	if (bytes != NULL)
		(*env)->GetByteArrayRegion(env, array, 0, n, (jbyte *)bytes);
	(*env)->DeleteLocalRef(env, array);
	*size = (length_t)n;
	return bytes;
}

static jbyteArray array_of(JNIEnv *env, const byte *bytes, length_t size)
{
	jbyteArray array = (*env)->NewByteArray(env, (jsize)size);
	if (array == NULL)
		threw(env);
	else
		(*env)->SetByteArrayRegion(env, array, 0, (jsize)size, (const jbyte *)bytes);
	return array;
}

/* Writes bytes at a buffer's position. */
static int put_bytes(JNIEnv *env, jobject buffer, const byte *bytes, length_t size)
{
	jbyteArray array = buffer != NULL ? array_of(env, bytes, size) : NULL;
	if (array == NULL)
		return -1;
	jboolean fits = (*env)->CallStaticBooleanMethod(env, native_class, copy_to, buffer, array);
	if (threw(env))
		fits = JNI_FALSE;
	(*env)->DeleteLocalRef(env, array);
	return fits ? 0 : -1;
}

static void wipe(void *p, size_t size)
{
	volatile byte *b = p;
	while (size > 0)
		b[--size] = 0;
}

static struct entry *new_entry(jint socket, const szkr_srvkey_t *key)
{
	struct entry *e = calloc(1, sizeof *e);
	szkr_ctx_t *ctx = malloc((size_t)szkr_get_ctxsize());
	if (e != NULL && ctx != NULL && pthread_mutex_init(&e->lock, NULL) == 0) {
		szkr_iostream_t stream = {on_read, on_write, e};
		e->ctx = ctx;
		e->socket = socket;
		if (szkr_new_ctx(ctx, stream, *key) == 0 && handles_add(e) == 0)
			return e;
		entry_free(e);
		return NULL;
	}
	free(e);
	free(ctx);
	return NULL;
}

NATIVE(jint, szkrInitialize)(JNIEnv *env, jclass class)
{
	(void)env;
	(void)class;
	return szkr_init();
}

NATIVE(void, szkrDestroy)(JNIEnv *env, jclass class)
{
	(void)env;
	(void)class;
	szkr_destroy();
}

NATIVE(jint, szkrNewContext)(JNIEnv *env, jclass class, jint socket, jobject key_buffer)
{
	szkr_srvkey_t key;
	length_t size = 0;
	(void)class;
	byte *bytes = bytes_of(env, key_buffer, &size);
	if (bytes == NULL || size != sizeof key) {
		free(bytes);
		return -1;
	}
	memcpy(&key, bytes, sizeof key);
	free(bytes);
	struct entry *e = new_entry(socket, &key);
	return e != NULL ? e->handle : -1;
}

NATIVE(void, szkrDestroyCtx)(JNIEnv *env, jclass class, jint handle)
{
	(void)env;
	(void)class;
	handles_destroy(handle);
}

NATIVE(jint, szkrCountContexts)(JNIEnv *env, jclass class)
{
	(void)env;
	(void)class;
	return handles_count();
}

NATIVE(jlong, szkrGetSessionDataSize)(JNIEnv *env, jclass class)
{
	(void)env;
	(void)class;
	return szkr_get_session_data_size();
}

NATIVE(jint, szkrGetSessionData)(JNIEnv *env, jclass class, jint handle, jobject out)
{
	byte session[SAZUKARI_SESSION_BYTES];
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return -1;
	int result = szkr_get_session_data(e->ctx, session, NULL);
	if (result == 0)
		result = put_bytes(env, out, session, sizeof session);
	wipe(session, sizeof session);
	handles_give(e);
	return result;
}

NATIVE(jint, szkrResetContext)(JNIEnv *env, jclass class, jint handle)
{
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return -1;
	int result = szkr_reset_ctx(e->ctx);
	handles_give(e);
	return result;
}

NATIVE(jint, szkrHandshake)(JNIEnv *env, jclass class, jint handle)
{
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return -1;
	int result = szkr_do_handshake(e->ctx);
	handles_give(e);
	return result;
}

NATIVE(jint, szkrLastError)(JNIEnv *env, jclass class, jint handle)
{
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return szkr_err_invalid_state;
	szkr_err_t error = szkr_last_error(e->ctx);
	handles_give(e);
	return (jint)error;
}

NATIVE(jstring, szkrLastErrorDetail)(JNIEnv *env, jclass class, jint handle)
{
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return (*env)->NewStringUTF(env, "there is no such context");
	const char *detail = szkr_last_error_detail(e->ctx);
	handles_give(e);
	return (*env)->NewStringUTF(env, detail); /* a constant of the library */
}

NATIVE(jint, szkrResume)(JNIEnv *env, jclass class, jint handle, jobject session)
{
	length_t size = 0;
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return -1;
	byte *bytes = bytes_of(env, session, &size);
	/* NULL is an error by name */
	int result = szkr_resume_session(e->ctx, size == SAZUKARI_SESSION_BYTES ? bytes : NULL);
	if (bytes != NULL)
		wipe(bytes, size);
	free(bytes);
	handles_give(e);
	return result;
}

static void forget_response(struct entry *e)
{
	free(e->response);
	e->response = NULL;
	e->response_length = 0;
	e->has_response = 0;
}

NATIVE(jint, szkrSendMessage)(JNIEnv *env, jclass class, jint handle, jobject message)
{
	length_t size = 0;
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return -1;
	forget_response(e);
	byte *bytes = bytes_of(env, message, &size);
	int result = szkr_send_message(e->ctx, bytes, size, &e->response, &e->response_length);
	e->has_response = result == 0;
	free(bytes);
	handles_give(e);
	return result;
}

NATIVE(jobject, szkrAccessResponseBuffer)(JNIEnv *env, jclass class, jint handle)
{
	jobject buffer = NULL;
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return NULL;
	jbyteArray array = e->has_response ? array_of(env, e->response, e->response_length) : NULL;
	handles_give(e);
	if (array != NULL) {
		buffer = (*env)->CallStaticObjectMethod(env, native_class, new_buffer, array);
		if (threw(env))
			buffer = NULL;
	}
	return buffer;
}

NATIVE(void, szkrDestroyResponseBuffer)(JNIEnv *env, jclass class, jint handle)
{
	struct entry *e = handles_take(env, handle);
	(void)class;
	if (e == NULL)
		return;
	forget_response(e);
	handles_give(e);
}

NATIVE(jint, szkrKeyFromPem)(JNIEnv *env, jclass class, jobject pem, jobject out)
{
	szkr_srvkey_t key;
	length_t size = 0;
	(void)class;
	byte *bytes = bytes_of(env, pem, &size);
	int result = szkr_key_from_pem(bytes, size, &key);
	free(bytes);
	return result == 0 ? put_bytes(env, out, (byte *)&key, sizeof key) : -1;
}
