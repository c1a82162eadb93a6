/* What the files of the compiled engine share. Everything here works on memory that the caller keeps, without the interpreter. */

#ifndef WAYHOUSE_BATCHES_H
#define WAYHOUSE_BATCHES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { HEAD = 10, DATA_HEADER = 16, TAG = 16, PREFIX = 4, LARGEST = 65535, MOST_SEGMENTS = 64, MOST_BYTES = 65507, ROWS = 512 };
enum { TCP = 6, UDP = 17 };
enum { NEEDS_CSUM = 1, DATA_VALID = 2, GSO_TCPV4 = 1, GSO_TCPV6 = 4, GSO_UDP = 5, GSO_ECN = 0x80 };
enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, URG = 0x20, CWR = 0x80 };

/* One packet in the memory that goes with it: where it begins, its bytes (0: leave it out), whose it is. */
typedef struct {
    uint32_t at, length, owner;
} row_t;

/* The header that a TUN with IFF_VNET_HDR puts before a packet, in the machine's order. */
typedef struct {
    uint8_t flags, gso;
    uint16_t header_length, size, start, offset;
} head_t;
_Static_assert(sizeof(head_t) == HEAD, "as virtio has it");

static inline uint32_t get16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static inline uint32_t get32(const uint8_t *at) { return get16(at) << 16 | get16(at + 2); }
static inline void put16(uint8_t *at, uint32_t value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }
static inline void put32(uint8_t *at, uint32_t value) { put16(at, value >> 16), put16(at + 2, value); }
static inline void put64_little(uint8_t *at, uint64_t value)
{
    for (int place = 0; place < 8; place++)
        at[place] = (uint8_t)(value >> 8 * place);
}
static inline uint64_t get64_little(const uint8_t *at)
{
    uint64_t value = 0;
    for (int place = 7; place >= 0; place--)
        value = value << 8 | at[place];
    return value;
}

/* checksums.c. Sums are of words in the machine's order, which is as good as the network's (RFC 1071 section 2 B). */
uint64_t sum_of(const uint8_t *data, size_t count);
uint64_t pseudo_of(const uint8_t *packet, uint32_t protocol, uint32_t length);
uint16_t folded(uint64_t sum);
void put_sum(uint8_t *at, uint16_t sum);
void readdress(uint8_t *packet, uint32_t length, const uint8_t *ends);

/* cipher.c. A cipher is for one key and one direction, and for one thread at a time. */
typedef struct cipher cipher_t;
const char *cipher_connect(const char *library);
cipher_t *cipher_new(const uint8_t *key, int seals);
void cipher_free(cipher_t *cipher);
int cipher_seal(cipher_t *cipher, uint64_t counter, uint8_t *text, uint32_t count);
int cipher_open(cipher_t *cipher, uint64_t counter, uint8_t *text, uint32_t count);

/* cut.c */
typedef struct {
    const uint8_t *packet;
    uint32_t length, header, size, count, start, ident, sequence;
    int is_ipv4, is_udp;
} cutting_t;
int cut_plan(cutting_t *cutting, const head_t *head, const uint8_t *packet, uint32_t length);
uint32_t cut_length(const cutting_t *cutting, uint32_t number);
void cut_fill(const cutting_t *cutting, uint32_t number, uint8_t *into);
int complete(uint8_t *packet, uint32_t length, uint32_t start, uint32_t offset);

/* join.c: packets of one flow that were cut become one again. */
typedef struct {
    uint16_t first, last;            /* rows; `next` of each leads to the one behind it */
    uint16_t packets, header, start; /* `start` is where the transport's header is */
    uint8_t is_ipv4, protocol, is_open, flags;
    uint32_t hash, size, last_size, total, sequence, owner, bytes;
} group_t;
typedef struct {
    int count;
    group_t groups[ROWS];
    uint16_t next[ROWS];
} joined_t;
void join(joined_t *joined, const uint8_t *memory, const row_t *rows, int count, int has_uso);
void join_head(const group_t *group, const uint8_t *lead, uint8_t *head, uint8_t *header);

#endif
