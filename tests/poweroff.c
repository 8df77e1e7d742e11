// SPDX-License-Identifier: GPL-2.0-only
/*
 * poweroff.c - the shortest life of a machine
 */
#include <sys/reboot.h>
#include <unistd.h>

int main(void)
{
	return reboot(RB_POWER_OFF) || pause();
}
