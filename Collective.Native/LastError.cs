using System.Runtime.InteropServices;
using System.Text;

namespace Collective.Native;

/// <summary>Each thread's last failure, with its text where C can read it.</summary>
internal sealed unsafe class LastError
{
    [ThreadStatic]
    private static LastError? ofThisThread;

    private byte* _text;

    /// <summary>When the thread is gone.</summary>
    ~LastError() => NativeMemory.Free(_text);

    public PcclxError Error { get; private set; }

    /// <summary>Null when no call of this thread has failed.</summary>
    public static LastError? OfThisThread => ofThisThread;

    public byte* Text => _text;

    public static void Set(PcclxError error, string text)
    {
        var last = ofThisThread ??= new LastError();
        last.Error = error;
        if (last._text is null)
        {
            last._text = (byte*)NativeMemory.Alloc(Limits.ErrorTextBytesMax);
        }

        // Cuts between characters.
        Encoding.UTF8.GetEncoder().Convert(text, new Span<byte>(last._text, Limits.ErrorTextBytesMax - 1), flush: false, out _, out var used, out _);
        last._text[used] = 0;
    }
}
