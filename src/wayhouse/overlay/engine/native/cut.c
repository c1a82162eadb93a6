/* One TCP or UDP packet of up to 64 KiB from the TUN becomes ready IP packets: the twin of `segment.py`, which has the rules. */

#include "batches.h"

#include <arpa/inet.h>

/* Whether `packet` is what `head` says. */
int cut_plan(cutting_t *cutting, const head_t *head, const uint8_t *packet, uint32_t length)
{
    uint32_t gso = head->gso & ~(uint32_t)GSO_ECN, start = head->start;
    int is_udp = gso == GSO_UDP, is_ipv4;
    if ((gso != GSO_TCPV4 && gso != GSO_TCPV6 && !is_udp) || head->size == 0 || length < 28 || start % 4)
        return 0;
    is_ipv4 = packet[0] >> 4 == 4;
    if (is_ipv4 ? gso == GSO_TCPV6 || start != (packet[0] & 15u) * 4 || start < 20 : packet[0] >> 4 != 6 || gso == GSO_TCPV4 || start < 40)
        return 0;
    uint32_t shortest = start + (is_udp ? 8 : 20);
    if (length <= shortest)
        return 0;
    uint32_t header = is_udp ? shortest : start + (packet[start + 12] >> 4) * 4u;
    if (header < shortest || length <= header)
        return 0;
    *cutting = (cutting_t){
        .packet = packet, .length = length, .header = header, .size = head->size, .start = start,
        .count = (length - header + head->size - 1) / head->size, .is_ipv4 = is_ipv4, .is_udp = is_udp,
        .ident = is_ipv4 ? get16(packet + 4) : 0, .sequence = is_udp ? 0 : get32(packet + start + 4),
    };
    return 1;
}

/* Bytes of packet `number`. */
uint32_t cut_length(const cutting_t *cutting, uint32_t number)
{
    uint32_t begin = cutting->header + number * cutting->size, left = cutting->length - begin;
    return cutting->header + (left < cutting->size ? left : cutting->size);
}

/* Write packet `number`. */
void cut_fill(const cutting_t *cutting, uint32_t number, uint8_t *into)
{
    uint32_t length = cut_length(cutting, number), header = cutting->header, start = cutting->start;
    memcpy(into, cutting->packet, header);
    memcpy(into + header, cutting->packet + header + number * cutting->size, length - header);
    if (cutting->is_ipv4) {
        put16(into + 2, length);
        put16(into + 4, cutting->ident + number);
        put16(into + 10, 0);
        put_sum(into + 10, (uint16_t)~folded(sum_of(into, start)));
    } else {
        put16(into + 4, length - 40);
    }
    uint8_t *sum = into + start + (cutting->is_udp ? 6 : 16);
    if (cutting->is_udp) {
        put16(into + start + 4, length - start);
    } else {
        put32(into + start + 4, cutting->sequence + number * cutting->size);
        if (number)
            into[start + 13] &= (uint8_t)~CWR;
        if (number != cutting->count - 1)
            into[start + 13] &= (uint8_t)~(FIN | PSH);
    }
    put16(sum, 0);
    uint64_t total = pseudo_of(into, cutting->is_udp ? UDP : TCP, length - start) + sum_of(into + start, length - start);
    uint16_t inverted = (uint16_t)~folded(total);
    put_sum(sum, cutting->is_udp && inverted == 0 ? 0xFFFF : inverted);
}

/* Finish the checksum that the kernel left to the network card. Whether there is such a place. */
int complete(uint8_t *packet, uint32_t length, uint32_t start, uint32_t offset)
{
    if (start + offset + 2 > length)
        return 0;
    uint16_t inverted = (uint16_t)~folded(sum_of(packet + start, length - start));
    put_sum(packet + start + offset, inverted == 0 ? 0xFFFF : inverted);
    return 1;
}
