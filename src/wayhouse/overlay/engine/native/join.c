/* Packets that were cut become one packet of up to 64 KiB again, of TCP and of UDP, many flows at a time: the twin of `coalesce.py`,
   which has the rules. Nothing is copied: a group is a chain of rows. */

#include "batches.h"

#include <arpa/inet.h>

typedef struct {
    const uint8_t *packet;
    uint32_t total, header, start, payload, hash;
    uint8_t is_ipv4, protocol, flags, may_join;
} lead_t;

static uint32_t hash_of(const uint8_t *data, uint32_t count, uint32_t seed)
{
    uint32_t hash = seed * 2654435761u + 1;
    for (uint32_t at = 0; at < count; at += 4) {
        uint32_t word;
        memcpy(&word, data + at, 4);
        hash = (hash ^ word) * 2654435761u;
        hash ^= hash >> 15;
    }
    return hash;
}

/* Whether there is an IP packet; `protocol` is 0 for what has no flow that matters. */
static int look(lead_t *lead, const uint8_t *packet, uint32_t length)
{
    int is_flow;
    *lead = (lead_t){.packet = packet};
    if (length >= 20 && packet[0] >> 4 == 4) {
        lead->total = get16(packet + 2);
        if (lead->total < 20 || lead->total > length)
            return 0;
        lead->is_ipv4 = 1;
        lead->start = 20;
        is_flow = packet[0] == 0x45 && !(packet[6] & 0x3F) && !packet[7];
        lead->protocol = packet[9];
    } else if (length >= 40 && packet[0] >> 4 == 6) {
        lead->total = 40 + get16(packet + 4);
        if (lead->total > length)
            return 0;
        lead->start = 40;
        is_flow = 1;
        lead->protocol = packet[6];
    } else {
        return 0;
    }
    uint32_t least = lead->start + (lead->protocol == TCP ? 20 : 8);
    if (!is_flow || (lead->protocol != TCP && lead->protocol != UDP) || lead->total < least) {
        lead->protocol = 0;
        return 1;
    }
    const uint8_t *transport = packet + lead->start;
    lead->header = lead->protocol == TCP ? lead->start + (transport[12] >> 4) * 4u : least;
    int is_whole = lead->header >= least && lead->header < lead->total;
    lead->payload = is_whole ? lead->total - lead->header : 0;
    if (lead->protocol == TCP) {
        lead->flags = transport[13];
        lead->may_join = is_whole && !(lead->flags & (SYN | RST | URG));
    } else {
        lead->may_join = is_whole && get16(transport + 4) == lead->total - lead->start && (transport[6] || transport[7]);
    }
    uint32_t from = lead->is_ipv4 ? 12 : 8;
    lead->hash = hash_of(packet + from, lead->start + 4 - from, lead->protocol);
    return 1;
}

static int is_same_flow(const lead_t *lead, const uint8_t *other)
{
    uint32_t from = lead->is_ipv4 ? 12 : 8;
    return memcmp(lead->packet + from, other + from, lead->start + 4 - from) == 0;
}

/* Whether nothing differs but what cutting makes different. */
static int is_alike(const lead_t *lead, const uint8_t *other)
{
    const uint8_t *one = lead->packet;
    if (lead->is_ipv4 ? memcmp(one, other, 2) || memcmp(one + 6, other + 6, 4) : memcmp(one, other, 4) || memcmp(one + 6, other + 6, 2))
        return 0;
    if (lead->protocol == UDP)
        return 1;
    one += lead->start, other += lead->start;
    uint32_t header = lead->header - lead->start;
    return !memcmp(one + 8, other + 8, 5) && !((one[13] ^ other[13]) & (uint8_t)~(FIN | PSH | CWR)) && !memcmp(one + 14, other + 14, 2) &&
           !memcmp(one + 18, other + 18, header - 18);
}

static int takes(const group_t *group, const lead_t *lead, const uint8_t *first)
{
    if (!group->is_open || !lead->may_join || lead->header != group->header || lead->payload > group->size ||
        group->total + lead->payload > LARGEST || (lead->protocol == UDP && group->packets >= MOST_SEGMENTS))
        return 0;
    if (lead->protocol == TCP && (get32(lead->packet + lead->start + 4) != group->sequence || (lead->flags & CWR)))
        return 0;
    return is_alike(lead, first);
}

static void extend(group_t *group, const lead_t *lead)
{
    group->packets++;
    group->bytes += lead->total;
    group->total += lead->payload;
    group->sequence += lead->payload;
    group->last_size = lead->payload;
    group->flags |= lead->flags & (FIN | PSH);
    group->is_open = lead->payload == group->size && !(lead->flags & (FIN | PSH));
}

static void begin(group_t *group, const lead_t *lead, uint32_t owner, int has_uso)
{
    int may_join = lead->may_join && (lead->protocol == TCP || has_uso);
    *group = (group_t){
        .packets = 1, .header = (uint16_t)lead->header, .start = (uint16_t)lead->start, .is_ipv4 = lead->is_ipv4,
        .protocol = lead->protocol, .flags = lead->flags & (FIN | PSH), .is_open = may_join && !(lead->flags & (FIN | PSH)),
        .hash = lead->hash, .size = lead->payload, .last_size = lead->payload, .total = lead->total, .owner = owner, .bytes = lead->total,
        .sequence = lead->protocol == TCP ? get32(lead->packet + lead->start + 4) + lead->payload : 0,
    };
}

/* The rows, at most `ROWS`, in groups: what is no IP packet is in none. `has_uso`: the TUN takes UDP uncut. */
void join(joined_t *joined, const uint8_t *memory, const row_t *rows, int count, int has_uso)
{
    joined->count = 0;
    for (int row = 0; row < count; row++) {
        lead_t lead;
        if (!look(&lead, memory + rows[row].at, rows[row].length))
            continue;
        int place = lead.protocol ? joined->count - 1 : -1;
        for (; place >= 0; place--) {
            const group_t *group = &joined->groups[place];
            if (group->hash == lead.hash && group->protocol == lead.protocol && group->is_ipv4 == lead.is_ipv4 &&
                group->owner == rows[row].owner && is_same_flow(&lead, memory + rows[group->first].at))
                break;
        }
        group_t *group = place < 0 ? NULL : &joined->groups[place];
        if (group != NULL && takes(group, &lead, memory + rows[group->first].at)) {
            joined->next[group->last] = (uint16_t)row;
            extend(group, &lead);
        } else {
            group = &joined->groups[joined->count++];
            begin(group, &lead, rows[row].owner, has_uso);
            group->first = (uint16_t)row;
        }
        group->last = (uint16_t)row;
    }
}

/* What goes before a group's payload: the TUN's head, and the header of the whole, made of that of its first packet. */
void join_head(const group_t *group, const uint8_t *lead, uint8_t *head_bytes, uint8_t *header)
{
    uint32_t start = group->start;
    int is_udp = group->protocol == UDP;
    head_t head = {.flags = DATA_VALID};
    memcpy(header, lead, group->header);
    if (group->packets > 1) {
        head = (head_t){
            .flags = NEEDS_CSUM, .gso = is_udp ? GSO_UDP : group->is_ipv4 ? GSO_TCPV4 : GSO_TCPV6, .header_length = group->header,
            .size = (uint16_t)group->size, .start = (uint16_t)start, .offset = is_udp ? 6 : 16,
        };
        if (!is_udp && (header[start + 13] & CWR))
            head.gso |= GSO_ECN;
        if (group->is_ipv4) {
            put16(header + 2, group->total);
            put16(header + 10, 0);
            put_sum(header + 10, (uint16_t)~folded(sum_of(header, 20)));
        } else {
            put16(header + 4, group->total - 40);
        }
        if (is_udp)
            put16(header + start + 4, group->total - start);
        else
            header[start + 13] |= group->flags;
        put_sum(header + start + head.offset, folded(pseudo_of(header, group->protocol, group->total - start)));
    }
    memcpy(head_bytes, &head, HEAD);
}
