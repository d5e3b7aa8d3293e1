#include "cli/print.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/assert.h"

#define USUAL_WIDTH 120
#define CELL_BYTES  384
#define GAP         "  "

/* ---- building -------------------------------------------------------------------------------- */

json_t *print_number(uint64_t number)
{
    if (number == UINT64_MAX)
        return json_null();
    return number > INT64_MAX ? json_real((double)number) : json_integer((json_int_t)number);
}

json_t *print_text(const char *text)
{
    json_t *value = json_string(text);
    if (value)
        return value;
    char shown[CELL_BYTES];
    snprintf(shown, sizeof shown, "%s", text);
    for (char *at = shown; *at; at++)
        if ((unsigned char)*at >= 128)
            *at = '?';
    return json_string(shown);
}

void print_set(json_t *object, const char *name, json_t *value)
{
    /* jansson fails here only without memory, where nothing could be printed either. */
    int failed = json_object_set_new(object, name, value);
    ASSERT(!failed);
}

void print_json(FILE *to, const json_t *value)
{
    json_dumpf(value, to, JSON_INDENT(2));
    fputc('\n', to);
}

/* ---- tables ---------------------------------------------------------------------------------- */

/* How a value is shown to people; *right: it is a number. */
static void cell_text(const json_t *value, char text[CELL_BYTES], bool *right)
{
    *right = json_is_number(value);
    if (json_is_integer(value))
        snprintf(text, CELL_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, CELL_BYTES, "%.6g", json_real_value(value));
    else if (json_is_string(value))
        snprintf(text, CELL_BYTES, "%s", json_string_value(value));
    else if (json_is_boolean(value))
        snprintf(text, CELL_BYTES, "%s", json_is_true(value) ? "yes" : "no");
    else if (json_is_array(value)) {
        size_t used = 0;
        text[0] = '\0';
        for (size_t i = 0; i < json_array_size(value) && used < CELL_BYTES / 2; i++) {
            char item[CELL_BYTES];
            bool ignored;
            cell_text(json_array_get(value, i), item, &ignored);
            used +=
                (size_t)snprintf(text + used, CELL_BYTES - used, "%s%.100s", i ? "," : "", item);
        }
    } else
        snprintf(text, CELL_BYTES, "-");
}

/* Cells by row and column, the names of the columns as row 0. */
struct grid {
    size_t rows;
    size_t columns;
    char (*cells)[CELL_BYTES];
    bool *right; /* by cell */
};

static size_t grid_at(const struct grid *grid, size_t row, size_t column)
{
    return row * grid->columns + column;
}

/* Every member's name that occurs, in order of appearance. */
static json_t *column_names(const json_t *rows)
{
    json_t *seen = json_object();
    size_t i;
    json_t *row, *value;
    const char *name;
    json_array_foreach(rows, i, row)
    {
        json_object_foreach(row, name, value)
        {
            if (!json_object_get(seen, name))
                json_object_set_new(seen, name, json_null());
        }
    }
    return seen;
}

static bool grid_fill(struct grid *grid, const json_t *rows)
{
    json_t *names = column_names(rows);
    const char *name;
    json_t *value;
    size_t column = 0;

    grid->rows = json_array_size(rows) + 1;
    grid->columns = json_object_size(names);
    grid->cells = calloc(grid->rows * grid->columns + 1, sizeof *grid->cells);
    grid->right = calloc(grid->rows * grid->columns + 1, sizeof *grid->right);
    bool good = grid->cells && grid->right;
    json_object_foreach(names, name, value)
    {
        if (!good)
            break;
        snprintf(grid->cells[column], CELL_BYTES, "%s", name);
        for (size_t row = 1; row < grid->rows; row++) {
            size_t at = grid_at(grid, row, column);
            cell_text(json_object_get(json_array_get(rows, row - 1), name), grid->cells[at],
                      &grid->right[at]);
        }
        /* A heading stands over its numbers. */
        grid->right[column] = grid->rows > 1 && grid->right[grid_at(grid, 1, column)];
        column++;
    }
    json_decref(names);
    return good;
}

/* Rows become columns; all numbers keep to the right. */
static bool grid_turn(struct grid *grid)
{
    struct grid turned = {.rows = grid->columns, .columns = grid->rows};
    turned.cells = calloc(turned.rows * turned.columns + 1, sizeof *turned.cells);
    turned.right = calloc(turned.rows * turned.columns + 1, sizeof *turned.right);
    if (!turned.cells || !turned.right) {
        free(turned.cells);
        free(turned.right);
        return false;
    }
    for (size_t row = 0; row < grid->rows; row++)
        for (size_t column = 0; column < grid->columns; column++) {
            size_t to = grid_at(&turned, column, row);
            memcpy(turned.cells[to], grid->cells[grid_at(grid, row, column)], CELL_BYTES);
            turned.right[to] = row > 0 && grid->rows > 2;
        }
    free(grid->cells);
    free(grid->right);
    *grid = turned;
    return true;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t text_width(const char *text)
{
    size_t width = 0;
    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static size_t column_width(const struct grid *grid, size_t column)
{
    size_t width = 0;
    for (size_t row = 0; row < grid->rows; row++) {
        size_t cell = text_width(grid->cells[grid_at(grid, row, column)]);
        if (cell > width)
            width = cell;
    }
    return width;
}

static size_t grid_width(const struct grid *grid)
{
    size_t width = 0;
    for (size_t column = 0; column < grid->columns; column++)
        width += column_width(grid, column) + strlen(GAP);
    return width;
}

static void cell_print(FILE *to, const struct grid *grid, size_t at, size_t width, bool last)
{
    const char *text = grid->cells[at];
    int fill = (int)(width - text_width(text));
    if (grid->right[at])
        fprintf(to, "%*s%s", fill, "", text);
    else if (last)
        fprintf(to, "%s", text);
    else
        fprintf(to, "%s%*s", text, fill, "");
    fprintf(to, "%s", last ? "\n" : GAP);
}

static void grid_print(FILE *to, const struct grid *grid)
{
    size_t *widths = calloc(grid->columns + 1, sizeof *widths);
    if (!widths)
        return;
    for (size_t column = 0; column < grid->columns; column++)
        widths[column] = column_width(grid, column);
    for (size_t row = 0; row < grid->rows; row++)
        for (size_t column = 0; column < grid->columns; column++)
            cell_print(to, grid, grid_at(grid, row, column), widths[column],
                       column + 1 == grid->columns);
    free(widths);
}

void print_table(FILE *to, const json_t *rows, size_t width)
{
    struct grid grid = {0};
    json_t *list = json_is_array(rows) ? json_incref((json_t *)rows) : json_pack("[O]", rows);
    bool turned = !json_is_array(rows);
    if (grid_fill(&grid, list) && grid.rows > 1) {
        bool too_wide = grid_width(&grid) > width + strlen(GAP);
        if (turned || (too_wide && grid.columns >= grid.rows))
            grid_turn(&grid);
        grid_print(to, &grid);
    }
    free(grid.cells);
    free(grid.right);
    json_decref(list);
}

size_t print_width(void)
{
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return USUAL_WIDTH;
}

void print_value(json_t *value, bool as_json)
{
    if (as_json)
        print_json(stdout, value);
    else
        print_table(stdout, value, print_width());
    json_decref(value);
}
