using System.Diagnostics.CodeAnalysis;
using System.Net;
using System.Net.Sockets;
using System.Reflection;
using System.Runtime.CompilerServices;
using Collective.Sharing;
using Collective.Transport;

namespace Collective;

/// <summary>
/// Has the runtime do now what it would do at the first need. It opens a file for each assembly whose first method is called, and starts a thread with the first socket, which then
/// never work in this process if that fails. A process that runs short later must still be able to say so, to close, and to connect again.
/// </summary>
internal static class RuntimeStart
{
    private static volatile bool s_done;

    /// <exception cref="CollectiveException"><see cref="ErrorCode.LimitExceeded"/>: this process is already too short of something for the library to work in it.</exception>
    public static void Ensure()
    {
        if (s_done)
        {
            return;
        }

        try
        {
            StartSockets();
            LoadReferences();
            _ = (Shortage.OfDescriptors(), new BlockCodec().Pack(new byte[64], 1, new byte[64]));
            s_done = true;
        }
        catch (Exception e) when (e is TypeInitializationException || Shortage.Of(e) is not null)
        {
            throw new CollectiveException(
                ErrorCode.LimitExceeded,
                "the library cannot start: the system gives this process too few threads, too little memory or too few file descriptors; allow it more (ulimit -u, -v, -n), and start it again",
                e);
        }
    }

    /// <summary>Nothing is sent.</summary>
    private static void StartSockets()
    {
        try
        {
            using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Dgram, ProtocolType.Udp);
            socket.Connect(IPAddress.Loopback, 9);
        }
        catch (SocketException)
        {
            // No descriptor or no network now, which may pass: whoever connects is told.
        }
    }

    [UnconditionalSuppressMessage("Trimming", "IL2026", Justification = "Nothing is looked up: what trimming removes need not be loaded.")]
    private static void LoadReferences()
    {
        if (!RuntimeFeature.IsDynamicCodeSupported)
        {
            return; // All is one file.
        }

        foreach (var reference in typeof(RuntimeStart).Assembly.GetReferencedAssemblies())
        {
            Assembly.Load(reference);
        }
    }
}
