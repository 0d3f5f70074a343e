"""What the errors of devices say, in English and Chinese. Pure.

Drivers speak English, for the log and for whoever searches the web for it; the technician reads their words here, in the doctor's table and at a calibration. A
template stands for what follows the device's name; `{…}` is what differs from case to case and is carried over, put into Chinese where
it has a template itself.
"""

from __future__ import annotations

import re
from functools import cache

from robot import texts
from robot.texts import Text

_COMMON = (
    Text("is closed", "已关闭"),
    Text("closed", "已关闭"),
    Text("read after close", "已关闭，无法读取"),
    Text("closed while it was read", "读取过程中被关闭"),
    Text("open, but silent for {seconds} s", "已打开，但 {seconds} 秒无数据"),
    Text("no picture within {seconds} s", "{seconds} 秒内没有画面"),
    Text("sends the same frame again and again ({seconds} s): it is stuck", "反复发送同一帧（{seconds} 秒）：已卡死"),
    Text(
        "sends the same picture again and again ({seconds} s): it is stuck", "反复发送同一画面（{seconds} 秒）：已卡死"
    ),
    Text(
        "is flooded: no temperature in its picture is possible ({seconds} s)",
        "数据错乱：画面中的温度均不可能（{seconds} 秒）",
    ),
    Text(
        "serial number {found} is connected, the calibration is for {wanted}: connect that one, or calibrate this one",
        "已连接序列号 {found}，而标定对应 {wanted}：请连接后者，或重新标定当前设备",
    ),
    Text(
        "its reader did not end within {seconds} s; the driver blocks", "读取线程 {seconds} 秒内未结束；驱动程序被阻塞"
    ),
)
_SERIAL = (
    Text("cannot open the serial port: {why}", "无法打开串口：{why}"),
    Text(
        "no such device (is it plugged in? see ls /dev/serial/by-id)",
        "没有该设备（是否已插好？请查看 ls /dev/serial/by-id）",
    ),
    Text(
        "permission denied (add the user to the group dialout, or install the udev rules)",
        "权限不足（将用户加入 dialout 组，或安装 udev 规则）",
    ),
    Text("another program holds it (close that one first)", "被其他程序占用（请先关闭该程序）"),
    Text("the device is gone while reading (unplugged?): {why}", "读取时设备消失（是否被拔出？）：{why}"),
    Text("the device is gone while writing (unplugged?): {why}", "写入时设备消失（是否被拔出？）：{why}"),
    Text("the device is gone (unplugged?): {why}", "设备消失（是否被拔出？）：{why}"),
    Text("cannot set {baud} baud: {why}", "无法设置波特率 {baud}：{why}"),
    Text("the plate's controller says nothing", "参考源控制器无应答"),
)
_THERMAL = (
    Text(
        "nobody answers like a SenXor{hint} (is it this port? power-cycle the sensor if it is)",
        "没有 SenXor 传感器应答{hint}（端口是否正确？若正确，请给传感器断电重启）",
    ),
    Text("(the controller reports that its sensor is missing)", "（控制器报告传感器缺失）"),
    Text("register {name} answered {contents}, not a number", "寄存器 {name} 返回 {contents}，不是数字"),
    Text("the sensor does not keep its emissivity setting ({percent} %)", "传感器未保存发射率设置（{percent} %）"),
    Text(
        "the sensor does not give up its own correction in register {register}",
        "传感器不肯清除寄存器 {register} 中的自带修正",
    ),
    Text("the module does not keep its emissivity setting ({percent} %)", "模块未保存发射率设置（{percent} %）"),
    Text(
        "unknown sensor type {code} in register BA (supported: MI0802, MI1602)",
        "寄存器 BA 中的传感器型号 {code} 未知（支持 MI0802、MI1602）",
    ),
    Text(
        "wrong sensor variant: register BA says {found}, the address asks for {wanted} (fit that sensor, or change model= in the address)",
        "传感器型号不符：寄存器 BA 为 {found}，地址要求 {wanted}（请安装该传感器，或修改地址中的 model=）",
    ),
    Text(
        "wrong sensor variant: it sends {found} (check which sensor is fitted, and model= in the address)",
        "传感器型号不符：实际发送 {found}（请检查所装传感器及地址中的 model=）",
    ),
    Text("no thermal frame in time (faults since opening: {counts})", "未按时收到热图帧（打开以来的故障：{counts}）"),
    Text(
        "the module talks at {baud} baud and does not move to {wanted} (write baud={baud}, or power-cycle it)",
        "模块以 {baud} 波特通信，无法切换到 {wanted}（请写 baud={baud}，或给模块断电重启）",
    ),
    Text(
        "nobody answers like a GY-MCU90640 at {first}, {second} or {third} baud (is it this port? are RX and TX crossed?)",
        "在 {first}、{second}、{third} 波特下均无 GY-MCU90640 应答（端口是否正确？RX 与 TX 是否交叉连接？）",
    ),
)
_FILES = (
    Text(
        "no such file or folder (a relative path starts from {folder})",
        "没有该文件或文件夹（相对路径以 {folder} 为起点）",
    ),
    Text("the folder holds no image ({kinds})", "文件夹中没有图像（{kinds}）"),
    Text("may not be read by this user (check its owner and mode)", "当前用户无权读取（请检查所有者与权限）"),
    Text(
        "cannot be read as a video (is it a video file, and complete?)",
        "无法作为视频读取（是否为视频文件，是否完整？）",
    ),
    Text("nothing in it can be read as a picture ({faults})", "其中没有可读取的图像（{faults}）"),
    Text("can no longer be read ({faults})", "已无法读取（{faults}）"),
    Text("end of file after {count} frames", "{count} 帧后文件结束"),
    Text("the next frame is due later than {seconds} s from now", "下一帧在 {seconds} 秒之后"),
    Text("it is empty", "文件为空"),
)
_HTTP = (
    Text("the camera closed the connection", "摄像头关闭了连接"),
    Text("the connection broke: {why}", "连接中断：{why}"),
    Text("the connection broke while asking for the stream: {why}", "请求视频流时连接中断：{why}"),
    Text("connected, but no picture came within {seconds} s", "已连接，但 {seconds} 秒内没有画面"),
    Text("connected, but the camera did not answer within {seconds} s", "已连接，但摄像头 {seconds} 秒内未应答"),
    Text(
        "no answer from {host} port {port} within {seconds} s (is the camera powered and on this network?)",
        "{host} 端口 {port} 在 {seconds} 秒内无应答（摄像头是否通电并在本网络中？）",
    ),
    Text(
        "{host} refuses connections on port {port} (is the camera's server running, is the port right?)",
        "{host} 拒绝端口 {port} 的连接（摄像头服务是否运行，端口是否正确？）",
    ),
    Text(
        "host {host} is not known (check the name, or write the IP address)",
        "主机 {host} 未知（请检查名称，或填写 IP 地址）",
    ),
    Text(
        "cannot reach {host} port {port}: {why} (check cable and network)",
        "无法连接 {host} 端口 {port}：{why}（请检查网线与网络）",
    ),
    Text(
        "no secure connection: {why} (check the camera's certificate, or use http)",
        "无法建立安全连接：{why}（请检查摄像头证书，或改用 http）",
    ),
    Text(
        "the server closed the connection without an answer (is this an HTTP port?)",
        "服务器未应答即关闭连接（这是 HTTP 端口吗？）",
    ),
    Text("the answer is not HTTP (check the port)", "应答不是 HTTP（请检查端口）"),
    Text("the answer's headers are not HTTP ({why}; is this a camera?)", "应答头不符合 HTTP（{why}；这是摄像头吗？）"),
    Text(
        "the server sends chunks although HTTP/1.0 was asked for (use another server)",
        "请求 HTTP/1.0，服务器却分块发送（请换用其他服务器）",
    ),
    Text(
        "this is a single picture ({kind}); use the camera's stream address, often …?action=stream",
        "这是单张图像（{kind}）；请使用摄像头的视频流地址，通常为 …?action=stream",
    ),
    Text(
        "the server sends {kind} instead of multipart/x-mixed-replace; is this the stream's address?",
        "服务器发送 {kind}，而不是 multipart/x-mixed-replace；这是视频流地址吗？",
    ),
    Text(
        "access refused ({status}); put the right name and password into the address: http://name:password@host/…",
        "拒绝访问（{status}）；请在地址中填写正确的用户名和密码：http://name:password@host/…",
    ),
    Text(
        "no stream at this path ({status}); check the camera's manual for the path of its MJPEG stream",
        "该路径没有视频流（{status}）；请查阅摄像头手册中 MJPEG 流的路径",
    ),
    Text(
        "the stream has moved ({status}); open the address in a browser and configure where it leads",
        "视频流已迁移（{status}）；请在浏览器中打开该地址，并填写其指向的新地址",
    ),
    Text(
        "the camera is busy ({status}); close other viewers, many cameras serve only a few",
        "摄像头繁忙（{status}）；请关闭其他观看者，多数摄像头只支持少数连接",
    ),
    Text("the server answered {status} instead of a stream", "服务器应答 {status}，而不是视频流"),
)
_V4L2 = (
    Text(
        "is not there: plug the camera in; names below /dev/v4l/by-path stay the same for a socket",
        "不存在：请插入摄像头；/dev/v4l/by-path 下的名称与插口对应，不会改变",
    ),
    Text("may not be opened: this user must be in the group video", "无法打开：当前用户须在 video 组中"),
    Text(
        "is in use by another program: end that, or stop patrol-robot.service",
        "被其他程序占用：请结束该程序，或停止 patrol-robot.service",
    ),
    Text(
        "gets no bandwidth: the cameras on this USB controller want more than it has; plug it into another controller (not only "
        "another socket), or set a smaller width, height or fps",
        "带宽不足：此 USB 控制器上的摄像头所需超过其容量；请插到另一个控制器（不只是另一个插口），或减小 width、height 或 fps",
    ),
    Text("has been unplugged", "已被拔出"),
    Text("does not answer: unplug it and plug it in again", "无应答：请拔下后重新插入"),
    Text("answers with garbage: replace cable or hub", "应答错乱：请更换线缆或集线器"),
    Text(
        "does not take these settings; `v4l2-ctl --list-formats-ext -d DEVICE` lists those it does",
        "不接受这些设置；`v4l2-ctl --list-formats-ext -d DEVICE` 列出其支持的设置",
    ),
    Text(
        "the camera gives {given}, not {wanted}; `v4l2-ctl --list-formats-ext` lists what it has",
        "摄像头提供 {given}，而不是 {wanted}；`v4l2-ctl --list-formats-ext` 列出其支持的格式",
    ),
)
_PACKAGES = (
    Text("the package {name} is missing ({command})", "缺少软件包 {name}（{command}）"),
    Text("the package {name} is missing ({command}): {why}", "缺少软件包 {name}（{command}）：{why}"),
    Text(
        "picamera2 is not installed: sudo apt install python3-picamera2, and a virtual environment made with --system-site-packages ({why})",
        "未安装 picamera2：sudo apt install python3-picamera2，并使用 --system-site-packages 创建虚拟环境（{why}）",
    ),
    Text(
        "{why} (`rpicam-hello --list-cameras` lists the cameras; check the ribbon cable with the power off, and that no other program uses "
        "the camera)",
        "{why}（`rpicam-hello --list-cameras` 列出摄像头；请断电检查排线，并确认没有其他程序使用该摄像头）",
    ),
    Text("another camera of libcamera's hangs (restart the robot)", "libcamera 的另一个摄像头卡死（请重启机器人）"),
    Text("this OpenCV is built without GStreamer; {advice}", "当前 OpenCV 未包含 GStreamer；{advice}"),
    Text(
        "on a Jetson use JetPack's own (a virtual environment made with --system-site-packages, without the package opencv-python)",
        "Jetson 上请使用 JetPack 自带版本（以 --system-site-packages 创建虚拟环境，且不安装 opencv-python）",
    ),
    Text(
        "the system's own is for Python {versions}, and this is Python {here}: on a Jetson use JetPack 7 (Python 3.12), or give the camera "
        "as v4l2: or http: (docs/installation.md, Jetson)",
        "系统自带版本适用于 Python {versions}，而当前为 Python {here}：Jetson 上请使用 JetPack 7（Python 3.12），"
        "或将摄像头写为 v4l2: 或 http:（docs/installation.md, Jetson）",
    ),
    Text("the pipeline does not start; try it with `{command}`", "管线无法启动；请用 `{command}` 试运行"),
    Text("the pipeline has ended", "管线已结束"),
)
_PINS = (
    Text(
        "pin {pin} for {name} cannot be had: {why} (is it a GPIO pin, free, and may this user use GPIO? Without GPIO set "
        "GPIOZERO_PIN_FACTORY=mock)",
        "无法使用 {name} 的引脚 {pin}：{why}（是否为空闲的 GPIO 引脚，当前用户是否有 GPIO 权限？没有 GPIO 时请设置 GPIOZERO_PIN_FACTORY=mock）",
    ),
    Text(
        "line {offset} of {chip} for {name} cannot be had: {why} (`gpioinfo` lists lines and who uses them; this user must be in the group gpio)",
        "无法使用 {name} 的线路 {offset}（{chip}）：{why}（`gpioinfo` 列出线路及占用者；当前用户须在 gpio 组中）",
    ),
    Text(
        "no pin is given (write for example {example}, or leave the indicator out)",
        "未指定引脚（例如写 {example}，或不配置指示器）",
    ),
    Text("the indicator is closed", "指示器已关闭"),
    Text("a pin cannot be moved or read: {why}", "引脚无法操作或读取：{why}"),
    Text("a pin cannot be switched off: {why}", "引脚无法关闭：{why}"),
    Text("pin {pin} for power is closed", "电源引脚 {pin} 已关闭"),
    Text("pin {pin} for power cannot be moved: {why}", "电源引脚 {pin} 无法操作：{why}"),
)
_POSITIONS = (
    Text("no pose", "没有位姿"),
    Text("the receiver says nothing that can be read (wrong baud=?)", "接收机没有可读取的数据（baud= 是否有误？）"),
    Text("the base says nothing that can be read (wrong baud=?)", "底盘没有可读取的数据（baud= 是否有误？）"),
    Text("the broker at {where} cannot be reached: {why}", "无法连接消息服务器 {where}：{why}"),
    Text(
        "the broker refuses: {why} (see place.credentials_file)",
        "消息服务器拒绝：{why}（请查看 place.credentials_file）",
    ),
    Text("the topic {topic}: {why}", "主题 {topic}：{why}"),
    Text("the broker does not answer", "消息服务器无应答"),
    Text("the broker is gone: {why}", "消息服务器已断开：{why}"),
)
FAULTS = (*_COMMON, *_SERIAL, *_THERMAL, *_FILES, *_HTTP, *_V4L2, *_PACKAGES, *_PINS, *_POSITIONS)
SYSTEM = {
    "No such file or directory": "没有那个文件或目录",
    "Permission denied": "权限不够",
    "Connection refused": "连接被拒绝",
    "Connection reset by peer": "连接被对方重置",
    "Connection timed out": "连接超时",
    "timed out": "超时",
    "No route to host": "没有到主机的路由",
    "Network is unreachable": "网络不可达",
    "Input/output error": "输入/输出错误",
    "Device or resource busy": "设备或资源忙",
    "No such device or address": "没有那个设备或地址",
    "No such device": "没有那个设备",
    "Broken pipe": "管道已断开",
    "Bad file descriptor": "文件描述符无效",
}
"""Frequent words of the operating system, after glibc's own Chinese catalogue; the others stay as they are."""
_FIELD = re.compile(r"\{(\w+)\}")


def said(error: str) -> Text:
    """Returns what a device's error or a detail of health says, in every language; what has no template stays as it is."""
    where, colon, rest = error.partition(": ")
    told = _told(rest) if colon else None
    return texts.detail(error) if told is None else Text(error, f"{where}：{told}")


def _told(words: str) -> str | None:
    """Returns words in Chinese, or None if no template is for them; of several the one with most words of its own wins."""
    for pattern, template in _patterns():
        if match := pattern.fullmatch(words):
            return template.format_map({name: _value(value) for name, value in match.groupdict().items()})
    return None


def _value(value: str) -> str:
    told = _told(value.strip())
    return _system(value) if told is None else told


def _system(words: str) -> str:
    for en, zh in SYSTEM.items():
        words = words.replace(en, zh)
    return words


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    longest_first = sorted(FAULTS, key=lambda text: -len(_FIELD.sub("", text.en)))
    return tuple((_pattern(text.en), text.zh) for text in longest_first)


def _pattern(template: str) -> re.Pattern[str]:
    pattern = ""
    for words, name in re.findall(r"([^{]*)(?:\{(\w+)\})?", template):
        pattern += re.escape(words)
        if name:
            pattern += f"(?P={name})" if f"(?P<{name}>" in pattern else f"(?P<{name}>.*?)"
    return re.compile(pattern, re.DOTALL)
