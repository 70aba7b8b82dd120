/* SPDX-License-Identifier: MIT */
/*
 * See live.h.
 */
#include "live.h"

#include <stdlib.h>

#include <iogate/error.h>

#include "memory.h"
#include "size.h"

#define NO_MAP UINT32_MAX

/* One map event of which something is still live. */
struct live_map {
	uint64_t remaining; /* bytes; not 0 */
	uint64_t unmap;     /* the last unmap that took something of it, counted from 1 */
	uint32_t line;
	uint32_t next_spare;
};

/* What one unmap has taken out so far. */
struct removal {
	struct live *live;
	uint64_t maps;
};

static uint32_t live_map_new(struct live *live, uint64_t size, uint32_t line)
{
	uint32_t index = live->spare;

	if (index != NO_MAP) {
		live->spare = live->maps[index].next_spare;
	} else {
		if (live->used == live->room) {
			live->room = live->room ? live->room * 2 : 64;
			live->maps = memory_resize(live->maps, live->room, sizeof(*live->maps));
		}
		index = live->used++;
	}
	live->maps[index] = (struct live_map){ .remaining = size, .line = line, .next_spare = NO_MAP };
	return index;
}

static void piece_removed(const struct range *part, void *ctx)
{
	struct removal *removal = ctx;
	struct live *live = removal->live;
	struct live_map *map = &live->maps[part->tag];
	uint64_t size = part->last - part->first + 1;

	/* Parts of one map need not lie together: another may have been made in a hole of it. */
	if (map->unmap != live->unmaps) {
		map->unmap = live->unmaps;
		removal->maps++;
	}
	live->figures.pages -= size / SIZE_4K;
	map->remaining -= size;
	if (!map->remaining) {
		live->figures.maps--;
		map->next_spare = live->spare;
		live->spare = part->tag;
	}
}

void live_init(struct live *live)
{
	*live = (struct live){ .spare = NO_MAP };
	ranges_init(&live->pieces);
	ranges_init(&live->regions);
}

void live_free(struct live *live)
{
	ranges_free(&live->pieces);
	ranges_free(&live->regions);
	free(live->maps);
	live_init(live);
}

int live_map(struct live *live, uint64_t first, uint64_t last, uint32_t line, struct live_conflict *conflict)
{
	struct live_figures *figures = &live->figures;
	uint64_t size = last - first + 1;

	if (ranges_find(&live->pieces, first, last, &conflict->piece)) {
		conflict->line = live->maps[conflict->piece.tag].line;
		return -IOG_EEXIST;
	}
	ranges_insert(&live->pieces, first, last, live_map_new(live, size, line));
	figures->regions_2m += ranges_fill(&live->regions, first / SIZE_2M, last / SIZE_2M);
	figures->maps++;
	figures->pages += size / SIZE_4K;
	if (figures->maps > figures->peak_maps)
		figures->peak_maps = figures->maps;
	if (figures->pages > figures->peak_pages)
		figures->peak_pages = figures->pages;
	return 0;
}

int live_unmap(struct live *live, uint64_t first, uint64_t last, struct live_conflict *conflict)
{
	struct removal removal = { .live = live };

	if (!ranges_cover(&live->pieces, first, last, &conflict->hole))
		return -IOG_ENOENT;
	live->unmaps++;
	ranges_remove(&live->pieces, first, last, piece_removed, &removal);
	if (removal.maps > 1)
		live->figures.unmaps_of_several++;
	if (removal.maps > 1 && removal.maps > live->figures.unmap_most_maps)
		live->figures.unmap_most_maps = removal.maps;
	return 0;
}
