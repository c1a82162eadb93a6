/* ChaCha20-Poly1305 (RFC 8439) of a libcrypto from 3.0 on that is found at run time, so that no header of OpenSSL is needed.

   Only functions that OpenSSL documents are called; the layout of OSSL_PARAM is part of its ABI. In place, without associated data. */

#include "batches.h"

#include <dlfcn.h>
#include <stdlib.h>

typedef struct {
    const char *key;
    unsigned int kind;
    void *data;
    size_t size, returned;
} param_t;
enum { OCTETS = 5 };

static struct {
    void *(*fetch)(void *, const char *, const char *);
    void *(*make)(void);
    void (*free)(void *);
    int (*seal_init)(void *, const void *, const uint8_t *, const uint8_t *, const param_t *);
    int (*seal_update)(void *, uint8_t *, int *, const uint8_t *, int);
    int (*seal_final)(void *, uint8_t *, int *);
    int (*open_init)(void *, const void *, const uint8_t *, const uint8_t *, const param_t *);
    int (*open_update)(void *, uint8_t *, int *, const uint8_t *, int);
    int (*open_final)(void *, uint8_t *, int *);
    int (*get)(void *, param_t *);
    int (*set)(void *, const param_t *);
} evp;
static void *chacha;

struct cipher {
    void *context;
    uint8_t iv[12];
    param_t tag[2];
};

/* NULL, or what is missing. */
const char *cipher_connect(const char *name)
{
    void *library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return name;
    const struct { const char *name; void **place; } wanted[] = {
        {"EVP_CIPHER_fetch", (void **)&evp.fetch},          {"EVP_CIPHER_CTX_new", (void **)&evp.make},
        {"EVP_CIPHER_CTX_free", (void **)&evp.free},        {"EVP_EncryptInit_ex2", (void **)&evp.seal_init},
        {"EVP_EncryptUpdate", (void **)&evp.seal_update},   {"EVP_EncryptFinal_ex", (void **)&evp.seal_final},
        {"EVP_DecryptInit_ex2", (void **)&evp.open_init},   {"EVP_DecryptUpdate", (void **)&evp.open_update},
        {"EVP_DecryptFinal_ex", (void **)&evp.open_final},  {"EVP_CIPHER_CTX_get_params", (void **)&evp.get},
        {"EVP_CIPHER_CTX_set_params", (void **)&evp.set},
    };
    for (size_t place = 0; place < sizeof wanted / sizeof *wanted; place++)
        if ((*wanted[place].place = dlsym(library, wanted[place].name)) == NULL)
            return wanted[place].name;
    if (chacha == NULL)
        chacha = evp.fetch(NULL, "ChaCha20-Poly1305", NULL);
    return chacha == NULL ? "ChaCha20-Poly1305" : NULL;
}

/* Of 32 bytes; NULL if libcrypto has no room, or was not connected. */
cipher_t *cipher_new(const uint8_t *key, int seals)
{
    cipher_t *cipher = chacha == NULL ? NULL : calloc(1, sizeof *cipher);
    if (cipher == NULL)
        return NULL;
    cipher->context = evp.make();
    cipher->tag[0] = (param_t){"tag", OCTETS, NULL, TAG, SIZE_MAX};
    int is_ready = cipher->context != NULL && (seals ? evp.seal_init : evp.open_init)(cipher->context, chacha, key, cipher->iv, NULL);
    if (!is_ready) {
        cipher_free(cipher);
        return NULL;
    }
    return cipher;
}

/* libcrypto wipes the key. */
void cipher_free(cipher_t *cipher)
{
    if (cipher->context != NULL)
        evp.free(cipher->context);
    free(cipher);
}

/* `count` bytes at `text`, and the tag behind them. Whether it worked. */
int cipher_seal(cipher_t *cipher, uint64_t counter, uint8_t *text, uint32_t count)
{
    void *context = cipher->context;
    int done;
    put64_little(cipher->iv + 4, counter);
    cipher->tag[0].data = text + count;
    return evp.seal_init(context, NULL, NULL, cipher->iv, NULL) && (count == 0 || evp.seal_update(context, text, &done, text, (int)count)) &&
           evp.seal_final(context, text + count, &done) && evp.get(context, cipher->tag);
}

/* The opposite; what is at `text` is of no use if it was not authentic. */
int cipher_open(cipher_t *cipher, uint64_t counter, uint8_t *text, uint32_t count)
{
    void *context = cipher->context;
    uint8_t tag[TAG];
    int done;
    memcpy(tag, text + count, TAG);
    put64_little(cipher->iv + 4, counter);
    cipher->tag[0].data = tag;
    return evp.open_init(context, NULL, NULL, cipher->iv, NULL) && evp.set(context, cipher->tag) &&
           (count == 0 || evp.open_update(context, text, &done, text, (int)count)) && evp.open_final(context, tag, &done) > 0;
}
