"""Flags of the classic scripts that are gone, and what to do instead."""

_KNOWN = "the checkpoint knows it: leave the flag out"
_ONE_WINDOW = "windows have names and a fixed layout; --no_visdom switches Visdom off"
_WANDB = "belongs to train: leave the flag out"

TRAIN = {
    "aspect_ratio": "belongs to convert, which keeps the input's size; --load_size scales",
    "display_id": _ONE_WINDOW,
    "display_ncols": _ONE_WINDOW,
    "display_winsize": "pictures are shown at their own size",
    "epoch": "--continue_train goes on from the latest checkpoint; --init_weights FILE from any",
    "eval": "belongs to convert, which always is in eval mode",
    "gpu_ids": "--device names what computes: auto, cpu, cuda, cuda:1",
    "load_iter": "--init_weights FILE starts from any checkpoint",
    "model_suffix": "files need no renaming; --init_weights DIR takes the classic's four files",
    "num_test": "belongs to convert",
    "phase": "--domain_A DIR and --domain_B DIR name any two folders",
    "results_dir": "belongs to convert, as --output DIR",
    "save_by_iter": "--save_latest_freq N saves within epochs, --save_epoch_freq N keeps epochs",
    "suffix": "write the whole name as --name",
    "update_html_freq": "report.html is refreshed at every checkpoint: --save_latest_freq",
    "verbose": "cyclegan settings prints what is resolved",
}

CONVERT = dict.fromkeys(
    [
        "dataset_mode",
        "dropout",
        "init_gain",
        "init_type",
        "input_nc",
        "model",
        "n_layers_D",
        "ndf",
        "netD",
        "netG",
        "ngf",
        "no_dropout",
        "norm",
        "output_nc",
    ],
    _KNOWN,
) | {
    "aspect_ratio": "the input's aspect is kept; --load_size scales",
    "crop_size": "whole images are converted; --load_size scales",
    "display_winsize": "the page shows pictures as large as the window allows",
    "eval": "always on; --norm_statistics image gives the classic's pictures without --eval",
    "gpu_ids": "--device names what computes: auto, cpu, cuda, cuda:1",
    "load_iter": "--epoch N picks a checkpoint",
    "max_dataset_size": "--num_test N converts at most N images",
    "model_suffix": "--direction AtoB or BtoA picks the generator; --weights takes any file",
    "no_flip": "nothing is flipped when converting",
    "num_threads": "not needed for converting",
    "phase": "--input DIR names the images themselves, for example DIR/testA",
    "preprocess": "whole images are converted at their size; --load_size scales",
    "results_dir": "--output DIR says where the pictures go",
    "serial_batches": "images are always converted in order",
    "suffix": "--name names the run",
    "use_wandb": _WANDB,
    "verbose": "settings.toml in the run's folder says what it was trained with",
    "wandb_project_name": _WANDB,
}

#: Flags of classic training that say nothing to a conversion.
_TRAINING_ONLY = (
    "beta1 continue_train display_env display_freq display_id display_ncols display_port "
    "display_server epoch_count gan_mode lambda_A lambda_B lambda_identity lr lr_decay_iters "
    "lr_policy n_epochs n_epochs_decay no_html pool_size print_freq save_by_iter save_epoch_freq "
    "save_latest_freq update_html_freq"
)
CONVERT |= dict.fromkeys(_TRAINING_ONLY.split(), "belongs to train: leave the flag out")
