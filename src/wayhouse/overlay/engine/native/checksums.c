/* Internet checksums (RFC 1071) and what follows from another address (RFC 1624): the twin of `checksums.py` and `readdress.py`. */

#include "batches.h"

#include <arpa/inet.h>

uint64_t sum_of(const uint8_t *data, size_t count)
{
    uint64_t low = 0, high = 0;
    size_t words = count / 8;
    for (size_t place = 0; place < words; place++) {
        uint64_t word;
        memcpy(&word, data + 8 * place, 8);
        low += (uint32_t)word;
        high += word >> 32;
    }
    for (size_t at = words * 8; at < count; at += 2) {
        uint16_t word = 0;
        memcpy(&word, data + at, count - at > 1 ? 2 : 1);
        low += word;
    }
    return low + high;
}

uint16_t folded(uint64_t sum)
{
    sum = (sum & 0xFFFFFFFF) + (sum >> 32);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t)sum;
}

void put_sum(uint8_t *at, uint16_t sum)
{
    memcpy(at, &sum, 2);
}

uint64_t pseudo_of(const uint8_t *packet, uint32_t protocol, uint32_t length)
{
    int is_ipv4 = packet[0] >> 4 == 4;
    return sum_of(packet + (is_ipv4 ? 12 : 8), is_ipv4 ? 8 : 32) + htons((uint16_t)protocol) + htons((uint16_t)length);
}

static void mend(uint8_t *at, uint32_t added)
{
    uint32_t sum = (0xFFFF - get16(at) + added) % 0xFFFF;
    put16(at, 0xFFFF - (sum ? sum : 0xFFFF));
}

/* Another source and destination, the 8 bytes at `ends`; what is no IPv4 packet stays as it is. */
void readdress(uint8_t *packet, uint32_t length, const uint8_t *ends)
{
    if (length < 20 || packet[0] >> 4 != 4)
        return;
    uint32_t start = (packet[0] & 15u) * 4, before = 0, after = 0;
    for (int place = 0; place < 8; place += 2) {
        before += get16(packet + 12 + place);
        after += get16(ends + place);
    }
    uint32_t added = after + 4 * 0xFFFF - before;
    memcpy(packet + 12, ends, 8);
    mend(packet + 10, added);
    uint32_t place = packet[9] == TCP ? 16 : packet[9] == UDP ? 6 : 0;
    int is_first = !((packet[6] & 0x1F) || packet[7]);
    if (!place || !is_first || start < 20 || start + place + 2 > length)
        return;
    uint8_t *at = packet + start + place;
    if (packet[9] == UDP && !get16(at))
        return;
    mend(at, added);
    if (packet[9] == UDP && !get16(at))
        put16(at, 0xFFFF);
}
