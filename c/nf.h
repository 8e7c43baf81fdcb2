/* A trained run in a program of one's own. C99; link with libnf_c.
 *
 *   nf_model *model;
 *   nf_array x = {.data = rows, .type = NF_F64, .rows = 100, .columns = 3};
 *   if (nf_open("runs/realnvp-2d-table", NULL, &model) || nf_log_prob(model, &x, NULL, nats)) {
 *     fprintf(stderr, "%s\n", nf_last_error());
 *   }
 *   nf_close(model);
 *
 * Numbers are those of flowcli's `score`, `sample`, `encode` and `decode` on the CPU, in the units
 * of the run's data: rows of a table as its file has them, images as rows of pixels 0 to 255,
 * channels last.
 *
 * Every function returns a status but nf_version and nf_last_error, which cannot fail. Where one
 * fails, what it should have filled in is not to be read, and no handle is made. Wrong arguments
 * are a status, never a crash, as long as pointers lead where the caller says.
 *
 * Threads: one model may be used by several threads at a time. They work side by side; scores and
 * latents of a model that draws noise (NF_NOISE) take turns, as do models of which one multiplies
 * in bf16 and another does not. nf_close comes after all other calls. The library starts threads of
 * its own and stays in memory until the process ends. It writes nothing, neither to files nor to
 * the terminal. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Statuses: the exit statuses of flowcli. */
enum {
  NF_OK = 0,
  NF_FAILED = 1,  /* a file, the machine or memory */
  NF_USAGE = 2,   /* the arguments */
  NF_DIVERGED = 3 /* numbers that are not finite, in weights or in a result */
};

/* "0.2.0" */
const char* nf_version(void);
/* What the last call of this thread that failed had to say, in one line; "" before one did. It is
 * there until the next one fails. */
const char* nf_last_error(void);
/* How many threads all models share for one call, 1 to 1024; 0: NF_NUM_THREADS of the environment,
 * else all processors. Calls that are running keep theirs. */
int nf_threads(int32_t threads);

typedef struct nf_model nf_model;

typedef struct nf_options {
  size_t size;         /* sizeof(nf_options) */
  const char* weights; /* "best" or "last"; NULL: best */
  /* Of scores that draw noise: how many draws for each row (0: one), and whether they are averaged
   * as importance weights: `flowcli eval --noise-draws`, `--importance`. */
  int32_t noise_draws, importance;
} nf_options;

/* Opens a run folder: config.json, state.safetensors, and best.safetensors or last.safetensors.
 * options: NULL for the defaults. */
int nf_open(const char* path, const nf_options* options, nf_model** model);
/* NULL is no mistake. */
int nf_close(nf_model* model);

/* --- what a model is ----------------------------------------------------------------------------
 */

enum {
  NF_DIMS = 0,   /* D, the numbers of a row */
  NF_HEIGHT = 1, /* of images, else 0; D = height * width * channels */
  NF_WIDTH = 2,
  NF_CHANNELS = 3,
  NF_LEVELS = 4,        /* of pixels: 256, or fewer where bits were left out; with --binarize
                           2, and pixels are 0 and 255; 0 of real numbers */
  NF_GIVEN = 5,         /* G: how many numbers are given with a row; 0: no conditional model */
  NF_GIVEN_CLASSES = 6, /* labels that may be given, 0 to this - 1; 0: columns are given */
  NF_PARAMETERS = 7,    /* trained numbers */
  NF_NOISE = 8,         /* 1: log_prob draws noise: a lower bound on average, or an estimate */
  NF_LATENTS = 9,       /* 1: there are latents, for nf_encode and nf_decode */
  NF_NOTES = 10,        /* how many texts NF_NOTE has */
  NF_LATENT_DIMS = 11   /* numbers of a row's latents; 0: there are none. D but of a vae */
};
int nf_number(const nf_model* model, int what, int64_t* value);

enum {
  NF_MODEL = 0,      /* "realnvp-2d" */
  NF_PATH = 1,       /* as it was opened */
  NF_CONVENTION = 2, /* in which units nats are */
  NF_COLUMN = 3,     /* the name of column `index`, "" where the run knows none */
  NF_GIVEN_NAME = 4, /* "label", or the name of the given column `index` */
  NF_NOTE = 5,       /* what should be known of this run: its training has not finished, ... */
  NF_CLASS = 6       /* the name of label `index`, "" where labels have no names */
};
/* index: from 0; 0 where there is but one. The text lives as long as the model. */
int nf_text(const nf_model* model, int what, int64_t index, const char** text);

/* --- numbers ------------------------------------------------------------------------------------
 */

enum {
  NF_F64 = 0,
  NF_F32 = 1,
  NF_U8 = 2 /* of pixels, and of what is read */
};

/* Rows of numbers in memory of the caller's. Number (i, j) is at data + i * row_stride +
 * j * column_stride, in bytes; strides may be negative, and need not be multiples of the number's
 * size. Both 0: rows lie one behind the other, without gaps. */
typedef struct nf_array {
  void* data;
  int64_t rows, columns;
  int64_t row_stride, column_stride;
  int32_t type;
} nf_array;

/* `given` is NULL where nothing is given; else it has G columns, and a row for each of the others
 * or one row for all. Labels are whole numbers. No rows are no mistake, and nothing is done.
 * Results may be written over the arguments. */

/* nats[i], of x->rows numbers: the log density of row i as `flowcli score` tells it
 * (NF_CONVENTION). A row with a number that is not finite, in x or in given, has NaN. Row i draws
 * the noise of sample i. */
int nf_log_prob(nf_model* model, const nf_array* x, const nf_array* given, double* nats);
/* Fills x with x->rows draws: those of `flowcli sample --seed --temperature`. */
int nf_sample(nf_model* model, uint64_t seed, double temperature, const nf_array* given,
              const nf_array* x);
/* Rows of data to latents, of NF_LATENT_DIMS columns, and back. Pixels are encoded at the middle of
 * their levels; decoding gives them back. Latents of a vae are the mean of its posterior, what they
 * are decoded to the middle of what data may be. */
int nf_encode(nf_model* model, const nf_array* x, const nf_array* given, const nf_array* z);
int nf_decode(nf_model* model, const nf_array* z, const nf_array* given, const nf_array* x);

#ifdef __cplusplus
}
#endif
